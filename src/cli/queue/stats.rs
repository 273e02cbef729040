//! `cio queue stats`.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::super::CommandError;
use super::super::answer::{Answer, Format};
use super::super::stdout::{self, Reader};
use super::target::Target;
use super::words::span;
use crate::queue::oncall::overview::{Limits, Overview, OverviewReader};
use crate::runtime::shutdown;

/// What puts the next picture where the last one was.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show how full a queue is, what holds it back, and how old its oldest job is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio queue stats --redis-url redis://redis:6379 --queue cio-events\n  \
    cio queue stats events -n shop --watch\n  \
    cio queue stats -o json | jq .depth")]
pub(super) struct Stats {
    #[command(flatten)]
    target: Target,

    /// Go on until Ctrl-C.
    #[arg(short, long)]
    watch: bool,

    /// Seconds between two readings.
    #[arg(long, default_value_t = 2, value_name = "SECONDS", requires = "watch",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,

    #[command(flatten)]
    answer: Answer,
}

impl Stats {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let opened = self.target.open().await?;
        let reader = OverviewReader::new(opened.redis.clone(), opened.keys.clone());
        let name = opened.name().to_owned();
        if self.watch {
            return self.watch(&reader, &name).await;
        }
        let overview = reader.read().await;
        opened
            .tell(overview, self.answer, |it| picture(&name, it))
            .await
    }

    async fn watch(&self, reader: &OverviewReader, name: &str) -> Result<(), CommandError> {
        let stop = shutdown::on_signals().context("install signal handlers")?;
        let in_place = std::io::stdout().is_terminal() && self.answer.output == Format::Text;
        let mut ticks = tokio::time::interval(Duration::from_secs(self.interval));
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let text = match reader.read().await {
                Ok(overview) if in_place => format!("{CLEAR}{}\n", picture(name, &overview)),
                Ok(overview) => self.answer.text(&overview, line)?,
                // It may come back: the watch goes on.
                Err(error) => {
                    eprintln!("cannot read the queue: {error}");
                    continue;
                }
            };
            if stdout::offer(&text)? == Reader::Gone {
                break;
            }
        }
        Ok(())
    }
}

fn picture(name: &str, overview: &Overview) -> String {
    let Overview { counts, .. } = overview;
    let version = match (&overview.version, overview.known) {
        (Some(version), _) => version.clone(),
        (None, true) => "no BullMQ client has written its version".to_owned(),
        (None, false) => "not known here: check --queue, --queue-prefix and the address".to_owned(),
    };
    let state = if overview.paused {
        "paused: no worker takes a job"
    } else {
        "running"
    };
    [
        format!("queue        {name} ({version})"),
        format!("state        {state}"),
        format!("depth        {} (ready and in flight)", overview.depth),
        format!("oldest       {}", age(overview)),
        format!("waiting      {}", counts.waiting + counts.paused),
        format!("prioritized  {}", counts.prioritized),
        format!("active       {}", counts.active),
        format!(
            "delayed      {} ({} due)",
            counts.delayed, counts.delayed_due
        ),
        format!("children     {}", counts.waiting_children),
        format!("failed       {}", counts.failed),
        format!("completed    {}", counts.completed),
        format!("limiter      {}", limits(overview.limits)),
    ]
    .join("\n")
}

fn line(overview: &Overview) -> String {
    let Overview { counts, depth, .. } = overview;
    let paused = if overview.paused { "paused, " } else { "" };
    format!(
        "{paused}depth {depth}, waiting {}, active {}, delayed {}, failed {}, completed {}, oldest {}",
        counts.waiting + counts.paused + counts.prioritized,
        counts.active,
        counts.delayed,
        counts.failed,
        counts.completed,
        age(overview),
    )
}

fn age(overview: &Overview) -> String {
    overview
        .oldest_waiting_ms
        .map_or_else(|| "none waits".to_owned(), span)
}

fn limits(limits: Limits) -> String {
    let mut parts = Vec::new();
    if let Some(ms) = limits.stopped_ms {
        parts.push(format!("no job is taken for {}", span(ms)));
    }
    if let Some(max) = limits.max {
        let window = limits
            .duration_ms
            .map_or_else(String::new, |ms| format!(" in {ms} ms"));
        parts.push(format!(
            "{} of {max} jobs{window}",
            limits.used.unwrap_or(0)
        ));
    }
    if let Some(concurrency) = limits.concurrency {
        parts.push(format!("{concurrency} jobs at once"));
    }
    if parts.is_empty() {
        return "none of BullMQ's".to_owned();
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limiter_is_said_in_words() {
        let none = Limits::default();
        let full = Limits {
            concurrency: Some(4),
            max: Some(80),
            duration_ms: Some(1000),
            used: Some(80),
            stopped_ms: Some(500),
        };
        assert_eq!(limits(none), "none of BullMQ's");
        assert_eq!(
            limits(full),
            "no job is taken for 0.5 s, 80 of 80 jobs in 1000 ms, 4 jobs at once"
        );
    }
}
