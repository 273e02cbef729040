//! `cio render -f FILE`.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{CommandError, yaml};
use crate::api;
use crate::operator::{self, Settings};

/// Print the objects the operator would create, as YAML, without a cluster.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cio render -f examples/pipeline.yaml")]
pub(super) struct Render {
    /// The manifest of one `CioPipeline`; - is standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,

    /// The operator's image.
    #[arg(long, env = "CIO_IMAGE", default_value = concat!("cio-operator:", env!("CARGO_PKG_VERSION")))]
    image: String,
}

impl Render {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let manifest = self.read()?;
        let usage = |message: String| CommandError::Usage(message);
        let pipeline = api::parse(&manifest).map_err(|error| usage(error.to_string()))?;
        let settings = Settings {
            image: self.image,
            image_pull_policy: String::new(),
        };
        let validated = operator::validate(&pipeline, &settings)
            .map_err(|refusal| usage(refusal.to_string()))?;
        let objects = operator::build::build(&validated).to_json();
        yaml::print(&objects.context("failed to write the objects as JSON")?)
    }

    fn read(&self) -> Result<String, CommandError> {
        let file = self.file.display();
        let text = if self.file.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(&self.file)
        };
        text.map_err(|error| CommandError::Usage(format!("--file: cannot read {file}: {error}")))
    }
}
