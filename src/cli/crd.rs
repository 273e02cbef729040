//! `cio crd`.

use anyhow::Context;
use clap::Args;

use super::{CommandError, yaml};
use crate::api;

/// Print the `CioPipeline` custom resource definition as YAML.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cio crd | kubectl apply -f -")]
pub(super) struct Crd {}

impl Crd {
    pub(super) fn run(&self) -> Result<(), CommandError> {
        let crd = api::crd().context("failed to build the CRD")?;
        yaml::print(std::slice::from_ref(&crd))
    }
}
