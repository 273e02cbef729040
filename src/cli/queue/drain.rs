//! `cio queue drain`.

use clap::Args;

use super::super::CommandError;
use super::super::answer::Answer;
use super::confirm::Confirm;
use super::target::{Opened, Target};
use super::words::jobs;
use crate::queue::QueueError;
use crate::queue::counts::CountsReader;
use crate::queue::oncall::drain::{Drained, drain, waiting};

/// Remove the jobs that wait. They are gone for good; those in flight, completed or failed stay.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio queue drain\n  \
    cio queue drain events -n shop --delayed --yes\n\
    Pause the queue first where workers run: they take jobs meanwhile. Jobs of a flow or a scheduler stay.")]
pub(super) struct Drain {
    #[command(flatten)]
    target: Target,

    /// Delayed jobs too: among them are those that wait for their next attempt.
    #[arg(long)]
    delayed: bool,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    answer: Answer,
}

impl Drain {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        self.confirm.check()?;
        let opened = self.target.open().await?;
        let outcome = self.go(&opened).await?;
        opened.tell(outcome, self.answer, |done| said(*done)).await
    }

    async fn go(&self, opened: &Opened) -> Result<Result<Drained, QueueError>, CommandError> {
        let Opened { redis, keys, .. } = opened;
        let counts = match CountsReader::new(redis.clone(), keys.clone()).read().await {
            Ok(counts) => counts,
            Err(error) => return Ok(Err(error)),
        };
        let count = waiting(&counts, self.delayed);
        if count == 0 {
            return Ok(Ok(Drained::default()));
        }
        self.confirm.ask(&format!(
            "Remove {} of {} for good",
            jobs(count),
            opened.shown().await
        ))?;
        let progress = |done| tracing::info!(jobs = done, of = count, "draining");
        Ok(drain(redis, keys, &counts, self.delayed, progress).await)
    }
}

fn said(done: Drained) -> String {
    let kept = match done.kept {
        0 => String::new(),
        kept => format!("; {} of a flow or a scheduler stay", jobs(kept)),
    };
    format!("{} removed{kept}", jobs(done.removed))
}
