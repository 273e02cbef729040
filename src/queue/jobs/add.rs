//! Adding jobs, many in one round trip and in their order.
//!
//! The crate `bullmq-official` adds those of one call in no certain order, and drops some of their
//! options; BullMQ's own scripts add one at a time.

use redis::Script;
use serde_json::{Map, Value, json};

use super::on_queue;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;

/// A job to be added.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its data, JSON.
    pub data: &'a str,
}

/// The guide's options of a job: 5 attempts, exponential backoff from 2 s, 10,000 completed and
/// 50,000 failed ones kept.
pub fn guide_options() -> Map<String, Value> {
    let options = [
        ("attempts", json!(5)),
        ("backoff", json!({"type": "exponential", "delay": 2_000})),
        ("removeOnComplete", json!({"count": 10_000})),
        ("removeOnFail", json!({"count": 50_000})),
    ];
    options
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// Adds jobs to one queue, all with the same options.
#[derive(Debug, Clone)]
pub struct Adder {
    redis: Redis,
    keys: QueueKeys,
    script: Script,
    options: String,
    delay_ms: u64,
    priority: u64,
    lifo: bool,
}

impl Adder {
    /// For the queue with `keys`, over `redis`. `options` are as BullMQ's `queue.add` takes them,
    /// but for those that need more than adding: `jobId`, `deduplication`, `repeat`, `parent`.
    pub fn new(redis: Redis, keys: QueueKeys, options: &Map<String, Value>) -> Self {
        let natural = |name| options.get(name).and_then(Value::as_u64).unwrap_or(0);
        Self {
            redis,
            keys,
            script: Script::new(concat!(include_str!("common.lua"), include_str!("add.lua"))),
            options: stored(options).to_string(),
            delay_ms: natural("delay"),
            priority: natural("priority"),
            lifo: options.get("lifo") == Some(&Value::Bool(true)),
        }
    }

    /// Adds `jobs`; their ids. Redis does nothing else meanwhile: a few hundred at a time.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time. It may have added all of them.
    pub async fn add(&self, jobs: &[NewJob<'_>]) -> Result<Vec<String>, QueueError> {
        let mut invocation = on_queue(&self.script, &self.keys);
        invocation
            .arg(&self.options)
            .arg(self.delay_ms)
            .arg(self.priority)
            .arg(u8::from(self.lifo));
        for job in jobs {
            invocation.arg(job.name).arg(job.data);
        }
        self.redis.run(&invocation).await
    }
}

/// Options as BullMQ keeps them in a job's hash: some under short names, `attempts` always, a
/// backoff never as a plain number.
fn stored(options: &Map<String, Value>) -> Value {
    let mut stored = Map::from_iter([("attempts".to_owned(), json!(0))]);
    for (name, value) in options {
        let (name, value) = match (name.as_str(), value) {
            ("keepLogs", value) => ("kl", value.clone()),
            ("backoff", Value::Number(delay)) => {
                ("backoff", json!({"type": "fixed", "delay": delay}))
            }
            (name, value) => (name, value.clone()),
        };
        stored.insert(name.to_owned(), value);
    }
    Value::Object(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_kept_as_bullmq_keeps_them() {
        for (given, kept) in [
            (json!({}), json!({"attempts": 0})),
            (
                json!({"attempts": 5, "keepLogs": 3, "backoff": 100}),
                json!({"attempts": 5, "kl": 3, "backoff": {"type": "fixed", "delay": 100}}),
            ),
        ] {
            assert_eq!(stored(given.as_object().unwrap()), kept);
        }
    }
}
