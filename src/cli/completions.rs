//! `cio completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

/// Print a shell completion script.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cio completions bash > /etc/bash_completion.d/cio")]
pub(super) struct Completions {
    /// The shell to complete for.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) {
        clap_complete::generate(
            self.shell,
            &mut Cli::command(),
            "cio",
            &mut std::io::stdout(),
        );
    }
}
