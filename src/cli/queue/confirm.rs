//! Asking before many jobs are changed.

use std::io::{IsTerminal, Write};

use anyhow::{Context, anyhow};
use clap::Args;

use super::super::CommandError;

/// Flattened into commands that change many jobs.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Confirm {
    /// Do not ask first. Needed where nobody sits at a terminal.
    #[arg(short, long)]
    yes: bool,
}

impl Confirm {
    /// Refuses where nobody can be asked; to be called before anything else is done.
    pub(super) fn check(self) -> Result<(), CommandError> {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if self.yes || terminal {
            return Ok(());
        }
        let remedy = "this changes many jobs and there is no terminal to ask at: pass --yes";
        Err(CommandError::Usage(remedy.to_owned()))
    }

    /// Asks whether to do `what`, or says it where nobody is to be asked; anything but yes is an error.
    pub(super) fn ask(self, what: &str) -> Result<(), CommandError> {
        if self.yes {
            eprintln!("{what}: --yes");
            return Ok(());
        }
        let mut stderr = std::io::stderr();
        write!(stderr, "{what}? [y/N] ").context("failed to ask")?;
        stderr.flush().context("failed to ask")?;
        let mut answer = String::new();
        std::io::stdin()
            .read_line(&mut answer)
            .context("failed to read the answer")?;
        if is_yes(&answer) {
            Ok(())
        } else {
            Err(anyhow!("nothing was changed").into())
        }
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, yes) in [
            ("y\n", true),
            ("YES", true),
            ("\n", false),
            ("yeah", false),
            ("n", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{answer}");
        }
    }
}
