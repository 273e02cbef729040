//! Putting a file's operations into a queue, in their order, while it is not too long.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::feed::{Fed, Feed};
use super::input::{self, InputFile};
use super::ranges::Ranges;
use super::{Progress, SendError};
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::counts::{CountsReader, QueueCounts};
use crate::queue::jobs::add::{Adder, NewJob, guide_options};
use crate::queue::names::QueueKeys;
use crate::runtime::clock::Clock;

/// Jobs, and bytes of them, added in one step: Redis does nothing else meanwhile.
const JOBS_AT_ONCE: usize = 500;
const BYTES_AT_ONCE: usize = 1024 * 1024;
/// Between two looks at a queue that is too long.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What `cio enqueue` is told.
#[derive(Debug)]
pub struct EnqueueSettings {
    /// The file; all its lines are good.
    pub file: InputFile,
    /// How many operations it holds.
    pub operations: u64,
    /// Where the queue is.
    pub redis: Redis,
    /// Its keys.
    pub keys: QueueKeys,
    /// It never gets longer than this through us.
    pub max_depth: u64,
    /// For time stamps.
    pub clock: Clock,
}

/// Adds all of the file, and tells `show` after each step.
///
/// # Errors
/// When Redis does not answer, or `stop` is cancelled; jobs added so far are counted.
pub async fn enqueue(
    settings: EnqueueSettings,
    show: &mut dyn FnMut(Progress),
    stop: CancellationToken,
) -> Result<u64, SendError> {
    let (redis, keys) = (settings.redis, settings.keys);
    let clock = settings.clock;
    let make = move |_, line: &Value| job(line, clock.now_ms());
    let mut queue = Queue {
        feed: Feed::start(settings.file, Ranges::default(), make),
        counts: CountsReader::new(redis.clone(), keys.clone()),
        adder: Adder::new(redis.clone(), keys, &guide_options()),
        redis,
        max_depth: settings.max_depth,
        next: None,
    };
    let mut added = 0;
    loop {
        let Some(room) = stop.run_until_cancelled(queue.room()).await else {
            return Err(ended(added, SendError::Interrupted));
        };
        let room = match room {
            Ok(room) => room,
            Err(error) => return Err(queue.failed(added, error).await),
        };
        let chunk = queue
            .chunk(room)
            .await
            .map_err(|cause| ended(added, cause))?;
        if chunk.is_empty() {
            return whole(added, settings.operations);
        }
        if let Err(error) = queue.add(&chunk).await {
            return Err(queue.failed(added, error).await);
        }
        added += chunk.len() as u64;
        show(Progress {
            total: settings.operations,
            succeeded: added,
            failed: 0,
        });
    }
}

fn ended(added: u64, cause: SendError) -> SendError {
    let cause = Box::new(cause);
    SendError::Enqueued { added, cause }
}

/// A file may have become shorter since it was checked.
fn whole(found: u64, checked: u64) -> Result<u64, SendError> {
    if found == checked {
        return Ok(found);
    }
    Err(ended(found, SendError::Shortened { checked, found }))
}

/// A job as it is added: its name and its data.
type Job = (&'static str, String);

struct Queue {
    feed: Feed<Job>,
    counts: CountsReader,
    adder: Adder,
    redis: Redis,
    max_depth: u64,
    /// Read, but too large for the step before.
    next: Option<Fed<Job>>,
}

impl Queue {
    /// Waits until there is room; for how many jobs.
    async fn room(&self) -> Result<usize, QueueError> {
        loop {
            let depth = depth(&self.counts.read().await?);
            if let Some(room @ 1..) = self.max_depth.checked_sub(depth) {
                return Ok(usize::try_from(room).unwrap_or(usize::MAX));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The next jobs, at most so many.
    async fn chunk(&mut self, most: usize) -> Result<Vec<Fed<Job>>, SendError> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < most.min(JOBS_AT_ONCE) {
            let next = match self.next.take() {
                Some(next) => next,
                None => match self.feed.next().await {
                    Some(next) => next?,
                    None => break,
                },
            };
            bytes += next.item.1.len();
            if bytes > BYTES_AT_ONCE && !chunk.is_empty() {
                self.next = Some(next);
                break;
            }
            chunk.push(next);
        }
        Ok(chunk)
    }

    /// What Redis said, and which one it was.
    async fn failed(&self, added: u64, error: QueueError) -> SendError {
        let address = match self.redis.source().address().await {
            Ok(address) => address.to_string(),
            Err(_) => "its address".to_owned(),
        };
        SendError::Queue {
            added,
            address,
            error,
        }
    }

    async fn add(&self, chunk: &[Fed<Job>]) -> Result<(), QueueError> {
        let jobs: Vec<_> = chunk
            .iter()
            .map(|fed| NewJob {
                name: fed.item.0,
                data: &fed.item.1,
            })
            .collect();
        self.adder.add(&jobs).await.map(drop)
    }
}

/// All jobs that are not finished, also of a queue that is paused: they take room in Redis.
fn depth(counts: &QueueCounts) -> u64 {
    counts.waiting + counts.paused + counts.prioritized + counts.delayed + counts.active
}

/// The job that a line is, as the guide's producer writes it.
fn job(line: &Value, now_ms: u64) -> Result<Job, input::Problem> {
    let operation = input::read(line, now_ms)?;
    let data = json!({
        "userId": line["userId"],
        "data": line["data"],
        "enqueuedAt": operation.enqueued_at_ms,
    });
    Ok((operation.kind().as_str(), data.to_string()))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::input::InputError;
    use super::*;

    #[test]
    fn a_line_becomes_the_guide_s_job() {
        let line = json!({"type": "identify", "userId": 7, "data": {"a": 1}, "error": "old"});
        let (name, data) = job(&line, 5).unwrap();
        let data: Value = serde_json::from_str(&data).unwrap();
        let expected = json!({"userId": 7, "data": {"a": 1}, "enqueuedAt": 5});
        assert_eq!((name, data), ("identify", expected));
    }

    #[test]
    fn a_file_that_cannot_be_read_on_leaves_jobs_in_the_queue_and_no_note() {
        let unreadable = || InputError::Read {
            path: "operations.jsonl".into(),
            error: io::ErrorKind::UnexpectedEof.into(),
        };
        let said = ended(300, SendError::ReadOn(unreadable())).to_string();
        let expected = format!("after 300 jobs, which are in the queue: {}", unreadable());
        assert_eq!(said, expected);
    }

    #[test]
    fn a_paused_queue_is_as_long_as_any_other() {
        let counts = QueueCounts {
            waiting: 1,
            paused: 2,
            prioritized: 3,
            delayed: 4,
            active: 5,
            is_paused: true,
            ..QueueCounts::default()
        };
        assert_eq!(depth(&counts), 15);
    }
}
