//! A queue at a glance: counts, depth, age, and what holds it back.

use redis::Script;
use serde::Serialize;

use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::counts::{CountsReader, QueueCounts, depth};
use crate::queue::names::QueueKeys;

/// A queue at one moment. As JSON its names are those of the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Whether any BullMQ client has ever opened a queue of this name here.
    pub known: bool,
    /// Which one was the last, for example `bullmq:6.7.0`.
    pub version: Option<String>,
    /// Whether no worker takes a job.
    pub paused: bool,
    /// Jobs ready plus jobs in flight: what the workers are scaled on.
    pub depth: u64,
    /// How long the job that is next has waited, in ms; nothing where none is ready.
    pub oldest_waiting_ms: Option<u64>,
    /// Jobs by state.
    pub counts: States,
    /// BullMQ's own limits on the queue.
    pub limits: Limits,
}

/// Jobs by state. BullMQ 5 keeps ready jobs in `paused` while the queue is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are BullMQ's states")]
pub struct States {
    pub waiting: u64,
    pub paused: u64,
    pub prioritized: u64,
    pub active: u64,
    pub delayed: u64,
    pub delayed_due: u64,
    pub completed: u64,
    pub failed: u64,
    pub waiting_children: u64,
}

/// BullMQ's own limits, which hold for all workers of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Jobs in flight at once.
    pub concurrency: Option<u64>,
    /// Jobs in each `duration_ms`.
    pub max: Option<u64>,
    /// The window of `max`.
    pub duration_ms: Option<u64>,
    /// Jobs taken in the window of this moment.
    pub used: Option<u64>,
    /// For how many ms no job is taken, because `max` is reached or a worker asked for a rest.
    pub stopped_ms: Option<u64>,
}

/// As `overview.lua` answers: exists, version, concurrency, max, duration, used, its time to live.
type Row = (
    u8,
    Option<String>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    i64,
);

/// What BullMQ writes into the limiter to stop a queue for a while: 2^53 - 1.
const STOPPED: u64 = 9_007_199_254_740_991;

/// Reads overviews of one queue.
#[derive(Debug, Clone)]
pub struct OverviewReader {
    counts: CountsReader,
    redis: Redis,
    keys: QueueKeys,
    script: Script,
}

impl OverviewReader {
    /// A reader of the queue with `keys`, over `redis`.
    pub fn new(redis: Redis, keys: QueueKeys) -> Self {
        Self {
            counts: CountsReader::new(redis.clone(), keys.clone()),
            redis,
            keys,
            script: Script::new(include_str!("overview.lua")),
        }
    }

    /// Reads it now; changes nothing.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time.
    pub async fn read(&self) -> Result<Overview, QueueError> {
        let counts = self.counts.read().await?;
        let mut invocation = self.script.prepare_invoke();
        invocation
            .key(self.keys.part("meta"))
            .key(self.keys.part("limiter"));
        let row: Row = self.redis.run(&invocation).await?;
        Ok(overview(&counts, row))
    }
}

fn overview(counts: &QueueCounts, row: Row) -> Overview {
    let (exists, version, concurrency, max, duration_ms, used, left_ms) = row;
    let full = used.is_some_and(|used| used >= max.unwrap_or(STOPPED));
    let left_ms = u64::try_from(left_ms).ok().filter(|left| *left > 0);
    Overview {
        known: exists == 1,
        version,
        paused: counts.is_paused,
        depth: depth(counts),
        oldest_waiting_ms: counts
            .oldest_waiting_timestamp_ms
            .map(|oldest| counts.redis_time_ms.saturating_sub(oldest)),
        counts: States {
            waiting: counts.waiting,
            paused: counts.paused,
            prioritized: counts.prioritized,
            active: counts.active,
            delayed: counts.delayed,
            delayed_due: counts.delayed_due,
            completed: counts.completed,
            failed: counts.failed,
            waiting_children: counts.waiting_children,
        },
        limits: Limits {
            concurrency,
            max,
            duration_ms,
            used: used.filter(|used| *used < STOPPED),
            stopped_ms: left_ms.filter(|_| full),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_limiter_stops_the_queue_and_so_does_a_rest_that_a_worker_asked_for() {
        // max, used, time to live → used, stopped
        for (max, used, left, expected) in [
            (None, None, -2, (None, None)),
            (Some(80), Some(10), 500, (Some(10), None)),
            (Some(80), Some(80), 500, (Some(80), Some(500))),
            (Some(80), Some(80), -2, (Some(80), None)),
            (None, Some(STOPPED), 700, (None, Some(700))),
        ] {
            let row = (1, None, None, max, None, used, left);
            let limits = overview(&QueueCounts::default(), row).limits;
            assert_eq!(
                (limits.used, limits.stopped_ms),
                expected,
                "{max:?} {used:?}"
            );
        }
    }

    #[test]
    fn the_age_is_by_the_clock_of_redis_and_never_below_zero() {
        for (oldest, age) in [(None, None), (Some(400), Some(600)), (Some(1_500), Some(0))] {
            let counts = QueueCounts {
                redis_time_ms: 1_000,
                oldest_waiting_timestamp_ms: oldest,
                ..QueueCounts::default()
            };
            let row = (0, None, None, None, None, None, -2);
            assert_eq!(overview(&counts, row).oldest_waiting_ms, age);
        }
    }
}
