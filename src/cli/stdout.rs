//! The one writer to standard output.
//!
//! In: text. Out: the same on standard output. A reader that has seen enough, such as `head`, is no failure: the
//! command ends as it would have.

use std::io::{ErrorKind, Write};

use anyhow::Context;

use super::CommandError;

/// Whether anybody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Reader {
    /// Somebody does.
    Reads,
    /// Nobody: more words are lost.
    Gone,
}

/// Writes all that a command says.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    offer(text).map(|_| ())
}

/// Writes one of many texts, and says whether the next one has a reader.
pub(super) fn offer(text: &str) -> Result<Reader, CommandError> {
    let mut stdout = std::io::stdout();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error).context("failed to write to standard output")?,
    }
}
