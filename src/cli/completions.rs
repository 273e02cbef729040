//! `cio completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CommandError, stdout};

/// Print a shell completion script.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cio completions bash > /etc/bash_completion.d/cio")]
pub(super) struct Completions {
    /// The shell to complete for.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "cio", &mut script);
        stdout::print(&String::from_utf8_lossy(&script))
    }
}
