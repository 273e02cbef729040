//! `cio queue retry`.

use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::super::CommandError;
use super::super::answer::Answer;
use super::confirm::Confirm;
use super::target::{Opened, Target};
use super::words::jobs;
use crate::queue::QueueError;
use crate::queue::counts::CountsReader;
use crate::queue::oncall::retry::{Retried, Selection, count, retry};

/// Bring failed jobs back into the queue, the one that failed first in front.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio queue retry --reason 'no answer within' --reset-attempts\n  \
    cio queue retry events -n shop --older-than 2h --yes\n  \
    cio queue retry --all\n\
    A job whose attempts are used up has one more, unless --reset-attempts is given.")]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(super) struct Retry {
    #[command(flatten)]
    target: Target,

    /// Jobs whose reason has this text in it, as `cio queue failed` shows it.
    // Nothing is in every reason: a variable that is not set would bring back all jobs.
    #[arg(long, value_name = "TEXT", group = "which", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,

    /// Jobs that failed longer ago than this, for example 90s, 15m, 2h or 1d.
    #[arg(long, value_name = "AGE", group = "which", value_parser = age)]
    older_than: Option<Duration>,

    /// All failed jobs.
    #[arg(long, group = "which", conflicts_with_all = ["reason", "older_than"])]
    all: bool,

    /// Count attempts anew.
    #[arg(long)]
    reset_attempts: bool,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    answer: Answer,
}

impl Retry {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        self.confirm.check()?;
        let opened = self.target.open().await?;
        let outcome = self.go(&opened).await?;
        opened.tell(outcome, self.answer, |done| said(*done)).await
    }

    async fn go(&self, opened: &Opened) -> Result<Result<Retried, QueueError>, CommandError> {
        let Opened { redis, keys, .. } = opened;
        let found = async {
            let now = CountsReader::new(redis.clone(), keys.clone())
                .read()
                .await?;
            let selection = self.selection(now.redis_time_ms);
            let count = count(redis, keys, &selection).await?;
            Ok((selection, count))
        };
        let (selection, count) = match found.await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        if count == 0 {
            return Ok(Ok(Retried::default()));
        }
        let queue = opened.shown().await;
        self.confirm
            .ask(&format!("Bring back {} of {queue}", jobs(count)))?;
        let progress = |done| tracing::info!(jobs = done, of = count, "retrying");
        Ok(retry(redis, keys, &selection, self.reset_attempts, progress).await)
    }

    fn selection(&self, now_ms: u64) -> Selection {
        let age = self.older_than.unwrap_or_default().as_millis();
        Selection {
            reason: self.reason.clone(),
            up_to_ms: now_ms.saturating_sub(u64::try_from(age).unwrap_or(u64::MAX)),
        }
    }
}

fn said(done: Retried) -> String {
    let broken = match done.broken {
        0 => String::new(),
        broken => format!(
            "; {} cannot be, their hashes in Redis are broken",
            jobs(broken)
        ),
    };
    format!("{} brought back{broken}", jobs(done.retried))
}

/// A number and a unit: s, m, h or d.
fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and a unit, for example 90s, 15m, 2h or 1d".to_owned();
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        _retry: Retry,
    }

    #[test]
    fn an_empty_reason_is_not_all_jobs() {
        let error = Line::try_parse_from(["retry", "--reason", "", "--yes"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidValue, "{error}");
        assert!(Line::try_parse_from(["retry", "--reason", "a", "--yes"]).is_ok());
    }

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        for (text, seconds) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("2h", Some(7_200)),
            ("1d", Some(86_400)),
            ("15", None),
            ("m", None),
            ("", None),
            ("-1s", None),
            ("1é", None),
        ] {
            assert_eq!(age(text).ok().map(|age| age.as_secs()), seconds, "{text}");
        }
    }
}
