//! The file: operations one by one, from JSON lines or CSV, with nothing of it kept.

mod columns;
mod lines;
mod mapping;
mod operation;
mod problem;
mod table;

use std::fs::File;
use std::io::{self, Read, Take};
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::lines::Lines;
pub use self::mapping::{Field, Mapping};
pub(super) use self::operation::read;
pub use self::problem::Problem;
use self::table::Table;

/// A longer line is refused: nothing that Customer.io takes comes near it.
const MAX_LINE: usize = 1024 * 1024;
/// Read from the file at once.
const BUFFER: usize = 64 * 1024;

/// How the file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One JSON object on each line.
    JsonLines,
    /// Comma-separated values under a heading.
    Csv(Mapping),
}

/// A file of operations.
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it is written.
    pub format: Format,
    /// Its first so many bytes are meant: what is appended later is of another run.
    pub length: u64,
}

/// Why the file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The system refuses.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A field's column is not in the heading.
    #[error(
        "{field} has no column {column:?}: the first line, which is the heading, has {columns} columns{known}"
    )]
    NoColumn {
        /// The operation's field.
        field: String,
        /// The column that is missing.
        column: String,
        /// How many there are.
        columns: usize,
        /// Those that are called as a field. Others are not told: where there is no heading, they are data.
        known: String,
    },
}

/// The file, being read.
#[derive(Debug)]
pub(super) struct Input {
    path: PathBuf,
    source: Source,
    number: u64,
}

#[derive(Debug)]
enum Source {
    Lines(Lines<Take<File>>),
    Table(Box<Table<Take<File>>>),
}

impl InputFile {
    /// Those that are meant.
    pub(super) fn bytes(&self) -> Result<Take<File>, InputError> {
        let file = File::open(&self.path).map_err(|error| unreadable(&self.path, error))?;
        Ok(file.take(self.length))
    }

    /// Whether more was appended.
    pub fn has_grown(&self) -> bool {
        let found = self.path.metadata();
        found.is_ok_and(|it| it.len() > self.length)
    }

    /// Opens it at its beginning.
    pub(super) fn open(&self) -> Result<Input, InputError> {
        let failed = |error| unreadable(&self.path, error);
        let file = self.bytes()?;
        let source = match &self.format {
            Format::JsonLines => Source::Lines(Lines::new(file)),
            Format::Csv(mapping) => {
                let mut table = Table::open(file).map_err(failed)?;
                table.map(mapping)?;
                Source::Table(Box::new(table))
            }
        };
        Ok(Input {
            path: self.path.clone(),
            source,
            number: 0,
        })
    }
}

impl Input {
    /// Goes on to the next operation; `false` at the end.
    pub(super) fn advance(&mut self) -> Result<bool, InputError> {
        let more = match &mut self.source {
            Source::Lines(lines) => lines.advance(),
            Source::Table(table) => table.advance(),
        };
        self.number += 1;
        more.map_err(|error| unreadable(&self.path, error))
    }

    /// Counts operations, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The line in the file where the operation begins, from 1.
    pub(super) fn line(&self) -> u64 {
        match &self.source {
            Source::Lines(lines) => lines.line(),
            Source::Table(table) => table.line(),
        }
    }

    /// The operation as JSON.
    pub(super) fn value(&self) -> Result<Value, Problem> {
        match &self.source {
            Source::Lines(lines) => lines.value(),
            Source::Table(table) => table.value(),
        }
    }
}

pub(super) fn unreadable(path: &Path, error: io::Error) -> InputError {
    InputError::Read {
        path: path.to_owned(),
        error,
    }
}
