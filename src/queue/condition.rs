//! How the Redis of a queue is set up, and whether it knows the queue.

use std::collections::BTreeMap;

use redis::{Script, cmd};

use super::QueueError;
use super::connection::Redis;
use super::names::QueueKeys;

const SECTIONS: [&str; 3] = ["server", "memory", "persistence"];

/// What Redis says of itself and of the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Its own time, in ms since the Unix epoch.
    pub redis_time_ms: u64,
    /// The fields of `INFO`; none where that is not allowed.
    pub info: BTreeMap<String, String>,
    /// Whether a BullMQ client has ever opened the queue.
    pub known: bool,
    /// Which one was the last, for example `bullmq:6.7.0`.
    pub version: Option<String>,
    /// Whether the queue is paused.
    pub paused: bool,
}

/// Reads it; changes nothing.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time.
pub async fn read(redis: &Redis, keys: &QueueKeys) -> Result<Condition, QueueError> {
    let script = Script::new(include_str!("condition.lua"));
    let mut invocation = script.prepare_invoke();
    invocation.key(keys.part("meta"));
    for section in SECTIONS {
        invocation.arg(section);
    }
    let (redis_time_ms, info, known, version, paused): (u64, String, u8, Option<String>, u8) =
        redis.run(&invocation).await?;
    Ok(Condition {
        redis_time_ms,
        info: fields(&info),
        known: known == 1,
        version,
        paused: paused == 1,
    })
}

/// The hash at `key`; empty where there is none.
///
/// # Errors
/// When Redis cannot be reached, or the key is no hash.
pub async fn hash(redis: &Redis, key: &str) -> Result<BTreeMap<String, String>, QueueError> {
    let mut command = cmd("HGETALL");
    command.arg(key);
    redis.ask(&command).await
}

/// The lines of `INFO`: `name:value`, and headings behind `#`.
fn fields(info: &str) -> BTreeMap<String, String> {
    let lines = info.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read_line_by_line() {
        let read = fields("# Server\r\nredis_version:7.0.15\r\n\r\n# Memory\r\nmaxmemory:0\r\n");
        assert_eq!(read["redis_version"], "7.0.15");
        assert_eq!(read["maxmemory"], "0");
        assert_eq!(read.len(), 2);
    }
}
