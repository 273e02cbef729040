//! What goes wrong between a worker and its queue. What comes of deliveries is in `delivery`.

use prometheus::{IntCounter, IntCounterVec, Registry};

use crate::queue::jobs::finish::Refused;
use crate::runtime::meters::{counter, counters};

/// The numbers, cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    /// Round trips that Redis did not answer.
    pub(super) redis_errors: IntCounter,
    /// Renewals of locks, and looks for stalled jobs, that it did not answer.
    pub(super) lock_errors: IntCounter,
    /// Ids without a job.
    pub(super) lost: IntCounter,
    /// Jobs put back.
    pub(super) stalled: IntCounter,
    refused: IntCounterVec,
}

impl WorkerMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When `registry` has one of the names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            redis_errors: counter(
                registry,
                "cio_worker_redis_errors_total",
                "Round trips to the queue that Redis did not answer; each is tried again",
            )?,
            lock_errors: counter(
                registry,
                "cio_worker_lock_errors_total",
                "Renewals of locks, and looks for stalled jobs, that Redis did not answer",
            )?,
            lost: counter(
                registry,
                "cio_worker_lost_jobs_total",
                "Ids in the queue without a job in Redis: somebody deleted it, or Redis evicted it",
            )?,
            stalled: counter(
                registry,
                "cio_worker_stalled_jobs_total",
                "Jobs put back because their worker was gone or stood still",
            )?,
            refused: counters(
                registry,
                "cio_worker_refused_outcomes_total",
                "Jobs that were no longer this worker's when they were done, by the reason; they are delivered again, under the same event id",
                "reason",
                &Refused::ALL.map(Refused::as_str),
            )?,
        })
    }

    pub(super) fn refused(&self, refused: Refused) {
        self.refused.with_label_values(&[refused.as_str()]).inc();
    }
}
