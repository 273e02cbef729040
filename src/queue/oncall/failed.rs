//! The failed set, read in pages while it changes.

use std::borrow::Cow;

use redis::Script;

use super::groups::Groups;
use super::mask::masked;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;

/// Jobs in a page.
pub(super) const PAGE: usize = 500;
/// Bytes of a reason that are read: more than Customer.io's longest, so a page has a bound.
const REASON_BYTES: usize = 4096;

/// A failed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedJob {
    pub(super) id: String,
    /// When it failed, in ms, as Redis writes it.
    pub(super) score: String,
    pub(super) reason: String,
}

impl FailedJob {
    pub(super) fn failed_at_ms(&self) -> u64 {
        // A score is a double; BullMQ writes whole ms.
        self.score.parse().unwrap_or(0)
    }
}

/// Where the next page begins: at a time, after so many jobs that failed in it. A rank would not
/// do: workers prune the set at its beginning while it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    from: String,
    pass_over: usize,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            from: "-inf".to_owned(),
            pass_over: 0,
        }
    }
}

impl Cursor {
    /// Behind a page of jobs, given as their scores and whether they are still in the set.
    pub(super) fn behind<'a>(self, page: impl IntoIterator<Item = (&'a str, bool)>) -> Self {
        page.into_iter().fold(self, |cursor, (score, stays)| {
            let same = cursor.from == score;
            let passed = if same { cursor.pass_over } else { 0 };
            Self {
                from: if same { cursor.from } else { score.to_owned() },
                pass_over: passed + usize::from(stays),
            }
        })
    }
}

/// Reads pages of the failed set.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    redis: Redis,
    keys: QueueKeys,
    script: Script,
    up_to: String,
}

impl Pages {
    /// Of those that failed at `up_to_ms` at the latest.
    pub(super) fn new(redis: Redis, keys: QueueKeys, up_to_ms: Option<u64>) -> Self {
        Self {
            redis,
            keys,
            script: Script::new(include_str!("failed.lua")),
            up_to: up_to_ms.map_or_else(|| "+inf".to_owned(), |ms| ms.to_string()),
        }
    }

    /// The page at the cursor; an empty one is the end.
    pub(super) async fn page(&self, cursor: &Cursor) -> Result<Vec<FailedJob>, QueueError> {
        let mut invocation = self.script.prepare_invoke();
        invocation
            .key(self.keys.part("failed"))
            .arg(self.keys.base())
            .arg(&cursor.from)
            .arg(&self.up_to)
            .arg(cursor.pass_over)
            .arg(PAGE)
            .arg(REASON_BYTES);
        let rows: Vec<(String, String, Vec<u8>)> = self.redis.run(&invocation).await?;
        let job = |(id, score, reason): (String, String, Vec<u8>)| FailedJob {
            id,
            score,
            reason: String::from_utf8_lossy(&reason).into_owned(),
        };
        Ok(rows.into_iter().map(job).collect())
    }
}

/// The failed set by reason, each without what may name a person unless `show_data`; changes nothing, and needs no more memory for a million jobs than for
/// a thousand.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time.
pub async fn grouped(
    redis: &Redis,
    keys: &QueueKeys,
    show_data: bool,
) -> Result<Groups, QueueError> {
    let pages = Pages::new(redis.clone(), keys.clone(), None);
    let mut groups = Groups::default();
    let mut cursor = Cursor::default();
    loop {
        let page = pages.page(&cursor).await?;
        if page.is_empty() {
            return Ok(groups);
        }
        for job in &page {
            let reason = if show_data {
                Cow::Borrowed(&*job.reason)
            } else {
                Cow::Owned(masked(&job.reason))
            };
            groups.add(&reason, job.failed_at_ms(), &job.id);
        }
        cursor = cursor.behind(page.iter().map(|job| (job.score.as_str(), true)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_begins_behind_what_stays_of_the_last() {
        let at = |from: &str, pass_over| Cursor {
            from: from.to_owned(),
            pass_over,
        };
        for (before, page, after) in [
            (
                Cursor::default(),
                &[("1", true), ("2", true)][..],
                at("2", 1),
            ),
            (at("2", 1), &[("2", true), ("2", true)], at("2", 3)),
            (at("2", 1), &[("2", true), ("3", false)], at("3", 0)),
            (at("2", 1), &[("2", false), ("2", true)], at("2", 2)),
            (at("2", 1), &[], at("2", 1)),
        ] {
            assert_eq!(
                before.clone().behind(page.iter().copied()),
                after,
                "{before:?} {page:?}"
            );
        }
    }
}
