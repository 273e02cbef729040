//! How jobs end, from the queue's stream of events, as BullMQ's own `QueueEvents` reads it.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use redis::{Script, cmd};

use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::{Prefix, QueueKeys, QueueName};
use crate::queue::source::RedisSource;

/// Events read at once.
const PAGE: usize = 1_000;
/// The longest wait in one call, in ms.
const LONGEST_WAIT_MS: u64 = 1_000;

/// The state that a job ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalState {
    /// A worker completed it.
    Completed,
    /// It failed for good.
    Failed,
}

/// The end of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The job.
    pub id: String,
    /// The state it is in since.
    pub state: FinalState,
}

/// An entry of the stream: its id, and names and values in turn.
type Entry = (String, Vec<Vec<u8>>);
/// As XREAD answers, for one stream; nothing where nothing came.
type Page = Option<Vec<(String, Vec<Entry>)>>;

/// Follows the stream from where it began.
#[derive(Debug)]
pub struct Endings {
    redis: Redis,
    key: String,
    after: String,
}

impl Endings {
    /// Of jobs that end from now on. Its connection bears the name that BullMQ's `QueueEvents` have.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time.
    pub async fn from_now(
        source: RedisSource,
        prefix: &Prefix,
        queue: &QueueName,
    ) -> Result<Self, QueueError> {
        let name = format!("{prefix}:{}:qe", BASE64_STANDARD.encode(queue.to_string()));
        let redis = Redis::blocking(source, Duration::from_millis(LONGEST_WAIT_MS), name);
        let key = QueueKeys::new(prefix, queue).part("events");
        let mut last = cmd("XREVRANGE");
        last.arg(&key).arg("+").arg("-").arg("COUNT").arg(1);
        let last: Vec<Entry> = redis.ask(&last).await?;
        let after = last.into_iter().next().map(|(id, _)| id);
        Ok(Self {
            redis,
            key,
            after: after.unwrap_or_else(|| "0-0".to_owned()),
        })
    }

    /// Those that came since the last time; waits up to a second for the first. The stream is cut
    /// at its old end: who is slower than the queue misses some, and asks [`Asker`].
    ///
    /// # Errors
    /// When Redis cannot be reached or the connection breaks; asking again goes on from there.
    pub async fn next(&mut self) -> Result<Vec<Ended>, QueueError> {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(PAGE).arg("BLOCK");
        command.arg(LONGEST_WAIT_MS);
        command.arg("STREAMS").arg(&self.key).arg(&self.after);
        let page: Page = self.redis.ask(&command).await?;
        let entries: Vec<Entry> = page.into_iter().flatten().flat_map(|(_, it)| it).collect();
        if let Some((last, _)) = entries.last() {
            self.after.clone_from(last);
        }
        Ok(entries.iter().filter_map(|(_, it)| ended(it)).collect())
    }
}

fn ended(fields: &[Vec<u8>]) -> Option<Ended> {
    let (pairs, _) = fields.as_chunks::<2>();
    let value = |wanted: &[u8]| {
        let pair = pairs.iter().find(|[name, _]| name == wanted);
        pair.map(|[_, value]| value.as_slice())
    };
    let state = match value(b"event")? {
        b"completed" => FinalState::Completed,
        b"failed" => FinalState::Failed,
        _ => return None,
    };
    let id = String::from_utf8(value(b"jobId")?.to_owned()).ok()?;
    Some(Ended { id, state })
}

/// Asks jobs themselves how they ended, many at once.
#[derive(Debug)]
pub struct Asker {
    redis: Redis,
    keys: QueueKeys,
    script: Script,
}

impl Asker {
    /// Of the queue with `keys`, over `redis`.
    pub fn new(redis: Redis, keys: QueueKeys) -> Self {
        let script = Script::new(include_str!("endings.lua"));
        Self {
            redis,
            keys,
            script,
        }
    }

    /// Those of `ids` that have ended. A few hundred at a time. One that is not there any more was
    /// not kept: completed.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time.
    pub async fn ask(&self, ids: &[String]) -> Result<Vec<Ended>, QueueError> {
        let mut invocation = self.script.prepare_invoke();
        invocation
            .key(self.keys.part("failed"))
            .arg(self.keys.base());
        for id in ids {
            invocation.arg(id);
        }
        let codes: Vec<u8> = self.redis.run(&invocation).await?;
        let ended = ids.iter().zip(codes).filter_map(|(id, code)| {
            let state = match code {
                1 => FinalState::Completed,
                2 => FinalState::Failed,
                _ => return None,
            };
            Some(Ended {
                id: id.clone(),
                state,
            })
        });
        Ok(ended.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_job_is_read_from_an_event() {
        for (fields, expected) in [
            (
                &["event", "completed", "jobId", "7", "returnvalue", "null"][..],
                Some(("7", FinalState::Completed)),
            ),
            (
                &["jobId", "8", "event", "failed", "failedReason", "event"],
                Some(("8", FinalState::Failed)),
            ),
            (&["event", "active", "jobId", "7"], None),
            (&["event", "drained"], None),
            (&["event"], None),
        ] {
            let fields: Vec<Vec<u8>> = fields.iter().map(|it| it.as_bytes().to_vec()).collect();
            let expected = expected.map(|(id, state)| Ended {
                id: id.to_owned(),
                state,
            });
            assert_eq!(ended(&fields), expected);
        }
    }
}
