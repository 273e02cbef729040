//! Printing Kubernetes objects as YAML documents.

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use super::{CommandError, stdout};

/// Prints each object as one document, with `---` between them.
pub(super) fn print<T: Serialize>(objects: &[T]) -> Result<(), CommandError> {
    stdout::print(&to_string(objects)?)
}

/// The documents as one text.
pub(super) fn to_string<T: Serialize>(objects: &[T]) -> Result<String, CommandError> {
    let documents: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
    Ok(documents.context("failed to write YAML")?.join("---\n"))
}

/// One document, as it was written.
pub(super) fn read(text: &str) -> anyhow::Result<Value> {
    Ok(serde_saphyr::from_str(text)?)
}
