//! What a worker is told.

use std::time::Duration;

use crate::delivery::Mode;
use crate::delivery::client::{Endpoint, Region};
use crate::delivery::credentials::CredentialsSource;
use crate::delivery::encode::{JOBS_PER_BATCH, MAX_BATCH};
pub use crate::queue::jobs::finish::Retention;
use crate::queue::names::{Prefix, QueueName};
use crate::queue::source::RedisSource;
use crate::runtime::traces::TraceCounters;

/// In single mode: the job that is sent, and the one that is sent next. Without it every request
/// would wait for a round trip to Redis.
const JOBS_PER_CALL: usize = 2;
/// Often enough to go on soon after Customer.io is back, or the credentials are put right.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(30);

/// Everything a worker needs to know.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Where Redis is.
    pub redis: RedisSource,
    /// What BullMQ's keys begin with.
    pub prefix: Prefix,
    /// The queue.
    pub queue: QueueName,
    /// How its jobs are delivered.
    pub delivery: DeliverySettings,
    /// What is kept of jobs that say nothing of it themselves.
    pub retention: Retention,
    /// BullMQ's locks.
    pub locks: Locks,
    /// The longest time between two probes while nothing can be delivered.
    pub hold: Duration,
    /// How long requests in flight may take to finish at the end.
    pub grace: Duration,
    /// Whether to log the queue's counts every 30 seconds.
    pub health_log: bool,
    /// What becomes of spans, where they are exported.
    pub traces: Option<TraceCounters>,
}

/// How jobs are delivered.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// Many operations in a request, or one.
    pub mode: Mode,
    /// Requests in flight.
    pub concurrency: usize,
    /// A bound on requests in flight that is the limiter's, as in the guide.
    pub max_concurrent: usize,
    /// The limit of the whole workspace; 0 for none.
    pub requests_per_second: u32,
    /// Where the workspace's data is kept.
    pub region: Region,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// Where the credentials come from.
    pub credentials: CredentialsSource,
}

/// BullMQ's locks on jobs in the hands of a worker.
#[derive(Debug, Clone, Copy)]
pub struct Locks {
    /// How long a lock lasts that is not renewed.
    pub duration: Duration,
    /// How often is looked for jobs whose lock has run out. Never more than other workers of the
    /// queue have, or theirs wait for ours.
    pub stalled_interval: Duration,
}

impl Default for Locks {
    /// BullMQ's own.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(30),
            stalled_interval: Duration::from_secs(30),
        }
    }
}

impl DeliverySettings {
    /// Requests in flight at the same time.
    pub(super) fn requests_in_flight(&self) -> usize {
        self.concurrency.min(self.max_concurrent)
    }

    /// Jobs held at the same time.
    pub(super) fn jobs_at_once(&self) -> usize {
        match self.mode {
            // One at a time is what who sets 1 wants: a retry may have to go before the next job.
            Mode::Single if self.concurrency == 1 => 1,
            Mode::Single => self.concurrency * JOBS_PER_CALL,
            Mode::Batch => self.concurrency * JOBS_PER_BATCH,
        }
    }

    /// Bytes of jobs held at the same time, beyond which no more are taken: a full batch for each
    /// request in flight.
    pub(super) fn bytes_at_once(&self) -> usize {
        self.concurrency * MAX_BATCH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::credentials::Credentials;

    fn held(mode: Mode, concurrency: usize) -> usize {
        let credentials = Credentials::new(Some("site"), Some("key")).expect("credentials");
        let settings = DeliverySettings {
            mode,
            concurrency,
            max_concurrent: 15,
            requests_per_second: 80,
            region: Region::Us,
            endpoint: Endpoint::of(Region::Us),
            credentials: CredentialsSource::Fixed(credentials),
        };
        settings.jobs_at_once()
    }

    #[test]
    fn the_next_jobs_are_held_too_but_by_a_worker_of_one() {
        assert_eq!(held(Mode::Single, 1), 1);
        assert_eq!(held(Mode::Single, 10), 20);
        assert_eq!(held(Mode::Batch, 1), 200);
    }
}
