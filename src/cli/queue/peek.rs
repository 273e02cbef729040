//! `cio queue peek`.

use std::fmt::Write;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};

use super::super::CommandError;
use super::super::answer::Answer;
use super::target::NamedTarget;
use super::words::{moment, one_line};
use crate::queue::oncall::peek::{Peeked, Which, peek};

/// BullMQ's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Waiting,
    Active,
    Prioritized,
    Delayed,
    Completed,
    Failed,
    WaitingChildren,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Active => "active",
            Self::Prioritized => "prioritized",
            Self::Delayed => "delayed",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::WaitingChildren => "waiting-children",
        }
    }
}

/// Look at jobs: one by its id, or the next ones of a state.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio queue peek 17 --in events -n shop\n  \
    cio queue peek --state failed --count 3 --show-data\n\
    Values of a job's data, and why it failed, are replaced by their types unless --show-data is given:\n\
    the reason of a worker that is not ours may quote the data.")]
pub(super) struct Peek {
    /// The job's id.
    #[arg(required_unless_present = "state", conflicts_with_all = ["state", "count"])]
    id: Option<String>,

    /// Those that are taken next, or were finished last, of this state.
    #[arg(long, value_enum)]
    state: Option<State>,

    /// How many.
    #[arg(short, long, default_value_t = 5, value_name = "JOBS", value_parser = count)]
    count: usize,

    /// Show the data itself, custom ids, and reasons of failures: each may name people.
    #[arg(long)]
    show_data: bool,

    #[command(flatten)]
    target: NamedTarget,

    #[command(flatten)]
    answer: Answer,
}

impl Peek {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let which = match (self.id, self.state) {
            (Some(id), _) => Which::Id(id),
            (None, state) => Which::State(state.unwrap_or(State::Waiting).name(), self.count),
        };
        let opened = self.target.open().await?;
        let jobs = match peek(&opened.redis, &opened.keys, &which, self.show_data).await {
            Ok(jobs) => jobs,
            Err(error) => return Err(opened.failed(error).await),
        };
        if jobs.is_empty() && matches!(which, Which::Id(_)) {
            return Err(anyhow!(
                "there is no such job in {}; finished ones are kept only for a while",
                opened.name()
            )
            .into());
        }
        let text = jobs.iter().map(picture).collect::<Result<Vec<_>, _>>()?;
        self.answer.print(&jobs, |_| {
            if text.is_empty() {
                "no jobs".to_owned()
            } else {
                text.join("\n")
            }
        })
    }
}

fn picture(job: &Peeked) -> Result<String, CommandError> {
    let Peeked {
        id, state, name, ..
    } = job;
    let mut text = format!("job {} {state}, {}\n", one_line(id), one_line(name));
    let mut say = |what: &str, value: &str| {
        // Writing to a String cannot fail.
        writeln!(text, "  {what:<10}{value}").ok();
    };
    for (what, at) in [
        ("added", job.timestamp),
        ("started", job.processed_on),
        ("finished", job.finished_on),
    ] {
        if let Some(at) = at {
            say(what, &moment(at));
        }
    }
    let attempts = format!(
        "{} made, {} started, stalled {}",
        job.attempts_made, job.attempts_started, job.stalled
    );
    say("attempts", &attempts);
    if let Some(reason) = &job.failed_reason {
        say("reason", &one_line(reason));
    }
    say("opts", &job.opts.to_string());
    let data = serde_json::to_string_pretty(&job.data).context("failed to write JSON")?;
    say("data", &data.replace('\n', "\n  "));
    Ok(text)
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=100) => Ok(count),
        _ => Err("write a number from 1 to 100".to_owned()),
    }
}
