//! `cio`: parse, dispatch, exit code.

use std::process::ExitCode;

use cio_operator::cli::{self, Cli};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    cli::run(Cli::parse()).await
}
