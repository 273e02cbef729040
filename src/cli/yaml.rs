//! Printing Kubernetes objects as YAML documents.

use anyhow::Context;
use serde::Serialize;
use std::io::Write;

use super::CommandError;

/// Prints each object as one document, with `---` between them.
pub(super) fn print<T: Serialize>(objects: &[T]) -> Result<(), CommandError> {
    let text = to_string(objects)?;
    let printed = std::io::stdout().write_all(text.as_bytes());
    match printed {
        // A reader that has seen enough, such as `head`, is not a failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other.context("failed to write to standard output")?),
    }
}

/// The documents as one text.
pub(super) fn to_string<T: Serialize>(objects: &[T]) -> Result<String, CommandError> {
    let documents: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
    Ok(documents.context("failed to write YAML")?.join("---\n"))
}
