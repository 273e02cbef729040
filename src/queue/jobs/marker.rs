//! Waiting until there is work: BullMQ's marker, on a connection of its own.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use redis::{Value, cmd};

use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::{Prefix, QueueKeys, QueueName};
use crate::queue::source::RedisSource;

/// The longest wait in one call.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Waits for work.
#[derive(Debug, Clone)]
pub struct Marker {
    redis: Redis,
    key: String,
}

impl Marker {
    /// The marker of `queue`. Its connection bears the name by which BullMQ's tools count the
    /// workers of a queue.
    pub fn new(source: RedisSource, prefix: &Prefix, queue: &QueueName) -> Self {
        let name = format!("{prefix}:{}", BASE64_STANDARD.encode(queue.to_string()));
        Self {
            redis: Redis::blocking(source, LONGEST_WAIT, name),
            key: QueueKeys::new(prefix, queue).part("marker"),
        }
    }

    /// Waits until there may be work, but no longer than `longest` and [`LONGEST_WAIT`].
    ///
    /// # Errors
    /// When Redis cannot be reached or the connection breaks.
    pub async fn wait(&self, longest: Duration) -> Result<(), QueueError> {
        let longest = longest.clamp(Duration::from_millis(2), LONGEST_WAIT);
        let mut command = cmd("BZPOPMIN");
        command.arg(&self.key).arg(longest.as_secs_f64());
        self.redis.ask::<Value>(&command).await.map(drop)
    }
}
