//! One round trip: what became of jobs, and new ones.

use std::sync::Arc;
use std::time::Duration;

use redis::Script;

use super::finish::{Finished, Refused, Retention};
use super::on_queue;
use super::taken::{MAX_DATA, Row, Taken};
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;

/// Values after the keys and before the finished jobs are fixed by `exchange.lua`; it is the
/// script's parts in their order.
const SCRIPT: &str = concat!(
    include_str!("common.lua"),
    include_str!("finish.lua"),
    include_str!("take.lua"),
    include_str!("exchange.lua"),
);

/// A queue that jobs are taken from.
#[derive(Debug, Clone)]
pub struct JobQueue {
    redis: Redis,
    keys: QueueKeys,
    script: Script,
    lock: Duration,
    kept: Retention,
}

/// What a worker has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Jobs; 0 to take none.
    pub jobs: usize,
    /// Bytes of their data: no more are taken once so many are.
    pub bytes: usize,
}

/// What came of an exchange.
#[derive(Debug)]
pub struct Exchanged {
    /// Why finished jobs (by index) were refused.
    pub refused: Vec<(usize, Refused)>,
    /// New jobs, in the order of the queue.
    pub jobs: Vec<Taken>,
    /// Ids that stood in the queue without a job; they were taken out.
    pub lost: u64,
    /// What is next.
    pub next: Next,
}

/// What is next in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// More jobs.
    Jobs,
    /// A job that is not for these scripts.
    Special,
    /// None that may be taken now; the next may be after so long, if it is known.
    Nothing(Option<Duration>),
}

/// As `exchange.lua` answers.
type Answer = (Vec<i64>, Vec<Row>, u64, u8, u64, u64, u8);

impl JobQueue {
    /// The queue with `keys`, over `redis`. Jobs are locked for `lock`; `kept` is how many finished
    /// ones stay where they say nothing of it themselves.
    pub fn new(redis: Redis, keys: QueueKeys, lock: Duration, kept: Retention) -> Self {
        let script = Script::new(SCRIPT);
        Self {
            redis,
            keys,
            script,
            lock,
            kept,
        }
    }

    /// Says what became of `finished`, and takes what there is `room` for, locked with `token`.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time. It may have done all of it then:
    /// saying it again does no harm, and jobs taken unknown to us come back when their locks run
    /// out.
    pub async fn exchange(
        &self,
        finished: &[Finished],
        room: Room,
        token: &Arc<str>,
    ) -> Result<Exchanged, QueueError> {
        let mut invocation = on_queue(&self.script, &self.keys);
        let lock_ms = u64::try_from(self.lock.as_millis()).unwrap_or(u64::MAX);
        invocation
            .arg(room.jobs)
            .arg(room.bytes)
            .arg(MAX_DATA)
            .arg(lock_ms)
            .arg(&**token);
        for job in finished {
            job.tell(&mut invocation, self.kept, rand::random());
        }
        let answer: Answer = self.redis.run(&invocation).await?;
        Ok(read(answer, room, token))
    }
}

fn read(answer: Answer, room: Room, token: &Arc<str>) -> Exchanged {
    let (codes, rows, lost, special, limited_ms, due_ms, more) = answer;
    let refused = codes.into_iter().enumerate();
    let due = Duration::from_millis(due_ms);
    let next = if special == 1 {
        Next::Special
    } else if limited_ms > 0 {
        Next::Nothing(Some(Duration::from_millis(limited_ms)))
    } else if more == 1 && rows.len() == room.jobs {
        Next::Jobs
    } else {
        Next::Nothing((due_ms > 0).then_some(due))
    };
    Exchanged {
        refused: refused
            .filter_map(|(index, code)| Some((index, Refused::from_code(code)?)))
            .collect(),
        jobs: rows.into_iter().map(|row| row.taken(token)).collect(),
        lost,
        next,
    }
}
