//! `cio queue pause` and `cio queue resume`.

use clap::{Args, ValueEnum};

use super::super::CommandError;
use super::super::answer::Answer;
use super::target::Target;
use super::words::jobs;
use crate::queue::oncall::pause::{Major, Outcome, Wish, set};

/// Stop a queue: no worker takes a job, those in flight are finished, new ones are kept.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cio queue pause events -n shop")]
pub(super) struct Pause {
    #[command(flatten)]
    target: Target,

    /// The BullMQ of the other clients, where 5 and 6 are mixed [default: of the last that opened the
    /// queue]. With any 5 among them say 5: its resume writes over jobs kept in 6's way.
    #[arg(long, value_enum, value_name = "MAJOR")]
    bullmq: Option<Bullmq>,

    #[command(flatten)]
    answer: Answer,
}

/// Let a paused queue go on, whoever paused it; no job is lost.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cio queue resume events -n shop")]
pub(super) struct Resume {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bullmq {
    #[value(name = "5")]
    Five,
    #[value(name = "6")]
    Six,
}

impl Pause {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let major = self.bullmq.map(|major| match major {
            Bullmq::Five => Major::Five,
            Bullmq::Six => Major::Six,
        });
        change(&self.target, Wish::Pause, major, self.answer).await
    }
}

impl Resume {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        change(&self.target, Wish::Resume, None, self.answer).await
    }
}

async fn change(
    target: &Target,
    wish: Wish,
    major: Option<Major>,
    answer: Answer,
) -> Result<(), CommandError> {
    let opened = target.open().await?;
    let outcome = set(&opened.redis, &opened.keys, wish, major).await;
    opened
        .tell(outcome, answer, |outcome| said(wish, *outcome))
        .await
}

fn said(wish: Wish, outcome: Outcome) -> String {
    let state = match (wish, outcome.changed) {
        (Wish::Pause, true) => format!("paused, as BullMQ {} does", outcome.bullmq),
        (Wish::Pause, false) => "was paused already".to_owned(),
        (Wish::Resume, true) => "resumed".to_owned(),
        (Wish::Resume, false) => "was not paused".to_owned(),
    };
    format!("{state}; {} ready", jobs(outcome.ready))
}
