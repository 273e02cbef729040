//! The command line: arguments → settings → one call into a room; results on standard output.
//!
//! In: arguments and environment. Out: an exit code. It decides nothing that a room decides.

mod adapter;
mod answer;
mod completions;
mod crd;
mod doctor;
mod enqueue;
mod given;
mod loadtest;
mod metrics;
mod metrics_apis;
mod operations;
mod operator;
mod plan;
mod queue;
mod render;
mod send;
mod settings;
mod simulator;
mod stdout;
mod worker;
mod yaml;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::runtime::logs;
use crate::runtime::traces::{self, Exporting};

/// The process succeeded.
pub const EXIT_OK: u8 = 0;
/// It ran and failed; the reason is on standard error.
pub const EXIT_FAILED: u8 = 1;
/// The command line or a setting is wrong; nothing was done. Clap's own code too.
pub const EXIT_USAGE: u8 = 2;
/// It ran to its end, and a threshold was crossed.
pub const EXIT_CROSSED: u8 = 99;

/// High-volume Customer.io integrations on Kubernetes.
#[derive(Debug, Parser)]
#[command(
    name = "cio",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 fine, 1 failed, 2 usage, 99 a threshold was crossed."
)]
pub struct Cli {
    /// What to log, as a tracing filter, for example `info,cio_operator::worker=debug` [default: info,
    /// and less of libraries].
    #[arg(long, env = "CIO_LOG", global = true, default_value = logs::DEFAULT_FILTER, hide_default_value = true)]
    log: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Operator(operator::Operator),
    Adapter(adapter::Adapter),
    Metrics(metrics::Metrics),
    Worker(worker::Worker),
    Loadtest(Box<loadtest::Loadtest>),
    Simulator(simulator::Simulator),
    Plan(Box<plan::Plan>),
    Queue(queue::Queue),
    Send(send::Send),
    Enqueue(enqueue::Enqueue),
    Render(render::Render),
    /// Print the `CioPipeline` custom resource definition as YAML.
    #[command(after_help = crd::EXAMPLE)]
    Crd,
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
}

/// Why a command ended without doing what was asked; decides the exit code.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting or argument is wrong: says which one and what to write instead.
    #[error("{0}")]
    Usage(String),
    /// The work itself failed.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// A threshold was crossed.
    #[error("thresholds have been crossed: {0}")]
    Crossed(String),
}

/// Runs the command; the one place that turns an error into words and a code.
pub async fn run(cli: Cli) -> ExitCode {
    let exporting = match observe(&cli) {
        Ok(exporting) => exporting,
        Err(message) => return report(&CommandError::Usage(message)),
    };
    let outcome = match cli.command {
        Command::Operator(command) => command.run().await,
        Command::Simulator(command) => command.run().await,
        Command::Plan(command) => command.run(),
        Command::Doctor(command) => command.run().await,
        Command::Queue(command) => command.run().await,
        Command::Send(command) => command.run().await,
        Command::Enqueue(command) => command.run().await,
        Command::Render(command) => command.run(),
        Command::Crd => crd::run(),
        Command::Completions(command) => command.run(),
        Command::Metrics(command) => command.run().await,
        Command::Adapter(command) => command.run().await,
        Command::Worker(command) => command.run(exporting).await,
        Command::Loadtest(command) => command.run().await,
    };
    match outcome {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(error) => report(&error),
    }
}

/// Starts logging, and the export of a worker's traces where the environment asks for it.
fn observe(cli: &Cli) -> Result<Option<Exporting>, String> {
    let traces = match cli.command {
        Command::Worker(_) => traces::from_environment("cio-worker")?,
        _ => None,
    };
    let (layer, exporting) = traces.unzip();
    logs::init(&cli.log, layer)?;
    Ok(exporting)
}

fn report(error: &CommandError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(match error {
        CommandError::Usage(_) => EXIT_USAGE,
        CommandError::Failed(_) => EXIT_FAILED,
        CommandError::Crossed(_) => EXIT_CROSSED,
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
