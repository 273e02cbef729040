//! `cio queue`: what an operator on call does with a queue.

mod confirm;
mod drain;
mod failed;
mod pause;
mod peek;
mod retry;
mod stats;
mod target;
mod words;

use clap::{Args, Subcommand};

use super::CommandError;

/// Look at a queue, bring failed jobs back, stop it, empty it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio queue stats --watch\n  \
    cio queue failed events -n shop\n  \
    cio queue retry events -n shop --reason 'no answer within'\n\
    A queue is named by --queue and --redis-url, or by the CioPipeline that delivers it.")]
pub(super) struct Queue {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Stats(stats::Stats),
    Peek(peek::Peek),
    Failed(failed::Failed),
    Retry(retry::Retry),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Drain(drain::Drain),
}

impl Queue {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        match self.command {
            Command::Stats(command) => command.run().await,
            Command::Peek(command) => command.run().await,
            Command::Failed(command) => command.run().await,
            Command::Retry(command) => command.run().await,
            Command::Pause(command) => command.run().await,
            Command::Resume(command) => command.run().await,
            Command::Drain(command) => command.run().await,
        }
    }
}
