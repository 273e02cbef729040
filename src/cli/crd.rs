//! `cio crd`.

use anyhow::Context;

use super::{CommandError, yaml};
use crate::api;

/// What `--help` shows.
pub(super) const EXAMPLE: &str = "Example:\n  cio crd | kubectl apply -f -";

/// Prints the custom resource definition.
pub(super) fn run() -> Result<(), CommandError> {
    let crd = api::crd().context("failed to build the CRD")?;
    yaml::print(std::slice::from_ref(&crd))
}
