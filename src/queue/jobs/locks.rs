//! Jobs that take longer than a lock lasts, and jobs whose worker is gone.

use std::time::Duration;

use redis::Script;

use super::on_queue;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;

/// Renewed in one script at most; more take several.
const AT_ONCE: usize = 500;

/// Renews locks and looks for stalled jobs.
#[derive(Debug, Clone)]
pub struct Locks {
    redis: Redis,
    keys: QueueKeys,
    extend: Script,
    stalled: Script,
}

impl Locks {
    /// Those of the queue with `keys`, over `redis`.
    pub fn new(redis: Redis, keys: QueueKeys) -> Self {
        Self {
            redis,
            keys,
            extend: Script::new(include_str!("extend.lua")),
            stalled: Script::new(concat!(
                include_str!("common.lua"),
                include_str!("stalled.lua")
            )),
        }
    }

    /// Locks these jobs (id and token) for `lock` from now on. Answers with the ids of those whose
    /// lock is not ours any more.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time.
    pub async fn extend(
        &self,
        jobs: &[(String, impl AsRef<str>)],
        lock: Duration,
    ) -> Result<Vec<String>, QueueError> {
        let lock_ms = u64::try_from(lock.as_millis()).unwrap_or(u64::MAX);
        let mut lost = Vec::new();
        for jobs in jobs.chunks(AT_ONCE) {
            let mut invocation = self.extend.prepare_invoke();
            invocation
                .key(self.keys.part("stalled"))
                .arg(self.keys.base())
                .arg(lock_ms);
            for (id, token) in jobs {
                invocation.arg(id).arg(token.as_ref());
            }
            lost.extend(self.redis.run::<Vec<String>>(&invocation).await?);
        }
        Ok(lost)
    }

    /// Puts back jobs whose worker is gone, unless a worker of the queue has looked for them within
    /// `interval`. A job that this happens to more than `most` times fails. Answers with the ids.
    ///
    /// # Errors
    /// When Redis cannot be reached or does not answer in time.
    pub async fn put_back_stalled(
        &self,
        interval: Duration,
        most: u32,
    ) -> Result<Vec<String>, QueueError> {
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let mut invocation = on_queue(&self.stalled, &self.keys);
        invocation.arg(interval_ms).arg(most);
        self.redis.run(&invocation).await
    }
}
