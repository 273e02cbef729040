//! What is wrong with one line.

use crate::delivery::refusal::Refusal;

/// A sentence that names the field. It repeats names of fields and columns, and no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is longer than a line may be.
    #[error("the line is longer than {} bytes", super::MAX_LINE)]
    TooLong,
    /// It is not JSON.
    #[error("the line is not one JSON object in UTF-8, or nested deeper than 127 levels")]
    NotJson,
    /// It is JSON, but not an object.
    #[error("the line is not an object: write {{\"type\", \"userId\", \"data\"}}")]
    NotObject,
    /// It has a field that nothing would come of.
    #[error("{0:?} is no field here: there are type, userId, data and enqueuedAt")]
    UnknownField(String),
    /// No `type`, or an unknown one.
    #[error("type is neither \"identify\" nor \"track\"")]
    Type,
    /// No `userId`.
    #[error("userId is missing or empty")]
    UserIdMissing,
    /// A record has more or fewer cells than the heading.
    #[error("{found} cells where the heading has {expected}")]
    Cells {
        /// In the heading.
        expected: usize,
        /// In this record.
        found: usize,
    },
    /// A cell is not UTF-8.
    #[error("column {0:?} is not UTF-8")]
    NotUtf8(String),
    /// A cell is not of the type asked for.
    #[error("column {column:?} is no {wanted}")]
    Cell {
        /// Its heading.
        column: String,
        /// What `--map` says it is.
        wanted: &'static str,
    },
    /// Customer.io would never take it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
