//! How full a queue is: BullMQ's states counted in one round trip.

use std::fmt;

use redis::Script;

use super::QueueError;
use super::connection::Redis;
use super::names::QueueKeys;

/// The keys that `counts.lua` takes, in its order.
const PARTS: [&str; 11] = [
    "wait",
    "paused",
    "prioritized",
    "delayed",
    "active",
    "completed",
    "failed",
    "waiting-children",
    "meta",
    "metrics:completed",
    "metrics:failed",
];

/// The jobs of a queue by state, all read at the same moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// When, in ms since the Unix epoch by Redis' own clock.
    pub redis_time_ms: u64,
    /// Jobs ready in the `wait` list. BullMQ 6 keeps them there while the queue is paused.
    pub waiting: u64,
    /// Jobs in the list that BullMQ 5 moves ready jobs to while the queue is paused.
    pub paused: u64,
    /// Jobs with a priority, ready.
    pub prioritized: u64,
    /// Jobs with a delay (a backoff too), due or not.
    pub delayed: u64,
    /// Those of `delayed` whose time has come: the next worker that asks makes them ready.
    pub delayed_due: u64,
    /// Jobs in the hands of a worker.
    pub active: u64,
    /// Finished jobs that are still kept.
    pub completed: u64,
    /// Failed jobs that are still kept.
    pub failed: u64,
    /// Parents of a flow that wait for their children.
    pub waiting_children: u64,
    /// Whether the queue is paused: no worker takes a job.
    pub is_paused: bool,
    /// Jobs ever completed, as workers that record metrics counted them; 0 where none does.
    pub completed_total: u64,
    /// Jobs ever failed, likewise.
    pub failed_total: u64,
    /// When the job that is next in line was enqueued, in ms by the producer's clock: the earliest
    /// of the next in `wait`, in `paused` and by priority. `None` where nothing is ready. A queue
    /// gives jobs out in the order they came, so this is the oldest but for retried and
    /// prioritized jobs.
    pub oldest_waiting_timestamp_ms: Option<u64>,
}

impl QueueCounts {
    /// Writes the guide's health line of the queue. What BullMQ's `getWaitingCount` calls waiting includes the
    /// paused list of BullMQ 5.
    pub fn log_health(&self, queue: impl fmt::Display) {
        tracing::info!(
            queue.name = %queue,
            queue.waiting = self.waiting + self.paused,
            queue.active = self.active,
            queue.failed = self.failed,
            queue.completed = self.completed,
            "queue health"
        );
    }
}

/// Jobs that a worker has or could have now: ready plus in flight. While the queue is paused only
/// those in flight count, because more workers could do nothing.
pub fn depth(counts: &QueueCounts) -> u64 {
    if counts.is_paused {
        return counts.active;
    }
    counts.waiting + counts.paused + counts.prioritized + counts.delayed_due + counts.active
}

/// Reads the counts of one queue.
#[derive(Debug, Clone)]
pub struct CountsReader {
    redis: Redis,
    keys: QueueKeys,
    script: Script,
}

impl CountsReader {
    /// A reader of the queue with `keys`, over `redis`.
    pub fn new(redis: Redis, keys: QueueKeys) -> Self {
        let script = Script::new(include_str!("counts.lua"));
        Self {
            redis,
            keys,
            script,
        }
    }

    /// Reads them now. Changes nothing in Redis; a queue that does not exist is empty.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time. Unknown is not 0.
    pub async fn read(&self) -> Result<QueueCounts, QueueError> {
        let mut invocation = self.script.prepare_invoke();
        for part in PARTS {
            invocation.key(self.keys.part(part));
        }
        invocation.arg(self.keys.base());
        let row: Vec<Option<u64>> = self.redis.run(&invocation).await?;
        Ok(from_row(&row))
    }
}

/// The script's answer by position; its last number may be missing.
fn from_row(row: &[Option<u64>]) -> QueueCounts {
    let at = |index: usize| row.get(index).copied().flatten();
    let count = |index: usize| at(index).unwrap_or(0);
    QueueCounts {
        redis_time_ms: count(0),
        waiting: count(1),
        paused: count(2),
        prioritized: count(3),
        delayed: count(4),
        delayed_due: count(5),
        active: count(6),
        completed: count(7),
        failed: count(8),
        waiting_children: count(9),
        is_paused: count(10) == 1,
        completed_total: count(11),
        failed_total: count(12),
        oldest_waiting_timestamp_ms: at(13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_what_is_ready_and_in_flight() {
        assert_eq!(depth(&one_to_nine()), 1 + 2 + 3 + 5 + 6);
    }

    #[test]
    fn depth_of_a_paused_queue_is_what_is_in_flight() {
        let counts = QueueCounts {
            is_paused: true,
            ..one_to_nine()
        };
        assert_eq!(depth(&counts), 6);
    }

    #[test]
    fn jobs_that_are_not_due_finished_or_waiting_for_children_do_not_count() {
        let counts = QueueCounts {
            delayed: 7,
            completed: 7,
            failed: 7,
            waiting_children: 7,
            ..QueueCounts::default()
        };
        assert_eq!(depth(&counts), 0);
    }

    #[test]
    fn the_answer_is_read_by_position() {
        let row: Vec<_> = (0..=9).chain([1, 11, 12, 13]).map(Some).collect();
        let expected = QueueCounts {
            is_paused: true,
            completed_total: 11,
            failed_total: 12,
            oldest_waiting_timestamp_ms: Some(13),
            ..one_to_nine()
        };
        assert_eq!(from_row(&row), expected);
    }

    fn one_to_nine() -> QueueCounts {
        QueueCounts {
            waiting: 1,
            paused: 2,
            prioritized: 3,
            delayed: 4,
            delayed_due: 5,
            active: 6,
            completed: 7,
            failed: 8,
            waiting_children: 9,
            ..QueueCounts::default()
        }
    }
}
