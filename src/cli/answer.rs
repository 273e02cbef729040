//! Results on standard output, for a person or for a program.

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{CommandError, stdout};

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
        stdout::print(&self.text(result, text)?)
    }

    /// What is printed.
    pub(super) fn text<T: Serialize>(
        self,
        result: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<String, CommandError> {
        let text = match self.output {
            Format::Text => text(result),
            Format::Json => serde_json::to_string(result).context("failed to write JSON")?,
        };
        Ok(format!("{}\n", text.trim_end()))
    }
}
