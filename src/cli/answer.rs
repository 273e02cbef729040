//! Results on standard output, for a person or for a program.

use std::io::Write;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::CommandError;

/// For whom a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// For a person.
    #[default]
    Text,
    /// For a program.
    Json,
}

/// Flattened into commands that have a result.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Answer {
    /// What the result is written as.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
}

impl Answer {
    /// Prints `result`: as one line of JSON, or as `text` says it.
    pub(super) fn print<T: Serialize>(
        self,
        result: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CommandError> {
        let text = match self.output {
            Format::Text => text(result),
            Format::Json => serde_json::to_string(result).context("failed to write JSON")?,
        };
        print(&format!("{}\n", text.trim_end()))
    }
}

/// Writes to standard output.
pub(super) fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = std::io::stdout();
    let printed = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match printed {
        // A reader that has seen enough, such as `head`, is not a failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.context("failed to write to standard output")?),
    }
}
