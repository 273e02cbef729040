//! Failed jobs back into the queue, by reason, by age, or all.

use redis::Script;
use serde::Serialize;

use super::failed::{Cursor, FailedJob, Pages};
use super::mask::masked;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::jobs::on_queue;
use crate::queue::names::QueueKeys;

const SCRIPT: &str = concat!(
    include_str!("../jobs/common.lua"),
    include_str!("retry.lua")
);

/// Which failed jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Those whose reason has this text in it, as it is or as `cio queue failed` shows it.
    pub reason: Option<String>,
    /// Those that failed at this time at the latest, in ms by Redis' clock. It bounds the work: a job
    /// that fails again meanwhile is not taken again.
    pub up_to_ms: u64,
}

impl Selection {
    fn holds(&self, job: &FailedJob) -> bool {
        let reason = self.reason.as_deref();
        reason.is_none_or(|text| job.reason.contains(text) || masked(&job.reason).contains(text))
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Retried {
    /// Jobs that are ready again.
    pub retried: u64,
    /// Jobs that stay, because their hash in Redis is broken.
    pub broken: u64,
}

/// Jobs that `selection` holds for; changes nothing.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time.
pub async fn count(
    redis: &Redis,
    keys: &QueueKeys,
    selection: &Selection,
) -> Result<u64, QueueError> {
    let pages = Pages::new(redis.clone(), keys.clone(), Some(selection.up_to_ms));
    let (mut cursor, mut count) = (Cursor::default(), 0);
    loop {
        let page = pages.page(&cursor).await?;
        if page.is_empty() {
            return Ok(count);
        }
        count += page.iter().filter(|job| selection.holds(job)).count() as u64;
        cursor = cursor.behind(page.iter().map(|job| (job.score.as_str(), true)));
    }
}

/// Makes the jobs ready that `selection` holds for: the one that failed first comes first. With
/// `anew` their attempts are counted from 0, else a job whose attempts are used up has one more.
/// `progress` is told the number so far.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time; what was done stays done, and doing it
/// again goes on from there.
pub async fn retry(
    redis: &Redis,
    keys: &QueueKeys,
    selection: &Selection,
    anew: bool,
    mut progress: impl FnMut(u64),
) -> Result<Retried, QueueError> {
    let pages = Pages::new(redis.clone(), keys.clone(), Some(selection.up_to_ms));
    let script = Script::new(SCRIPT);
    let (mut cursor, mut done) = (Cursor::default(), Retried::default());
    loop {
        let page = pages.page(&cursor).await?;
        if page.is_empty() {
            return Ok(done);
        }
        let mut invocation = on_queue(&script, keys);
        invocation.arg(u8::from(anew));
        let chosen: Vec<bool> = page.iter().map(|job| selection.holds(job)).collect();
        for (job, _) in page.iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
            invocation.arg(&job.id).arg(&job.score);
        }
        let codes: Vec<i64> = if chosen.contains(&true) {
            redis.run(&invocation).await?
        } else {
            Vec::new()
        };
        done.retried += codes.iter().filter(|code| **code == 1).count() as u64;
        done.broken += codes.iter().filter(|code| **code == -2).count() as u64;
        cursor = cursor.behind(scores_and_stays(&page, &chosen, &codes));
        progress(done.retried);
    }
}

/// Each job's score, and whether it is still in the set: it was not chosen, or is broken.
fn scores_and_stays<'a>(
    page: &'a [FailedJob],
    chosen: &'a [bool],
    codes: &'a [i64],
) -> impl Iterator<Item = (&'a str, bool)> {
    let mut codes = codes.iter();
    page.iter().zip(chosen).map(move |(job, chosen)| {
        let stays = !chosen || codes.next() == Some(&-2);
        (job.score.as_str(), stays)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(score: &str, reason: &str) -> FailedJob {
        FailedJob {
            id: "1".to_owned(),
            score: score.to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn a_reason_is_looked_for_anywhere_in_the_text() {
        for (reason, text, holds) in [
            (None, "anything", true),
            (Some("timeout"), "request timeout after 10 s", true),
            (Some("timeout"), "400", false),
            (Some("user … not found"), "user 47 not found", true),
            (Some("user … not found"), "user not found", false),
        ] {
            let selection = Selection {
                reason: reason.map(str::to_owned),
                up_to_ms: 0,
            };
            assert_eq!(selection.holds(&job("1", text)), holds, "{reason:?} {text}");
        }
    }

    #[test]
    fn what_was_not_chosen_or_is_broken_stays() {
        let page = ["1", "2", "3", "4"].map(|score| job(score, ""));
        let stays: Vec<bool> = scores_and_stays(&page, &[false, true, true, true], &[1, -2, 0])
            .map(|(_, stays)| stays)
            .collect();
        assert_eq!(stays, [true, false, true, false]);
    }
}
