//! Keeps the locks of the jobs in hand, and puts jobs back whose worker is gone.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::hand::Hand;
use super::metrics::WorkerMetrics;
use super::settings;
use crate::queue::job::loggable_id;
use crate::queue::jobs::locks::Locks;
use crate::queue::names::QueueName;

/// A pod that is killed leaves thousands of jobs stalled through no fault of theirs; BullMQ's own
/// default would fail those that this happens to twice. Where pods are killed for many minutes on end
/// some job is hit each time by chance, ten times and more; few could be the cause: what is in a job
/// cannot end the process that reads it.
pub const MAX_STALLED: u32 = 50;
/// A lock is renewed so often while it lasts: twice may go wrong.
const RENEWALS: u32 = 3;

/// What keeps the locks.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) queue: QueueName,
    pub(super) locks: Locks,
    pub(super) hand: Hand,
    pub(super) settings: settings::Locks,
    pub(super) metrics: WorkerMetrics,
}

impl Keeper {
    /// Does both for ever. While Redis does not answer it counts that and says nothing: whoever fetches jobs
    /// does.
    pub(super) async fn run(&self) {
        tokio::join!(self.renew(), self.look_for_stalled());
    }

    async fn renew(&self) {
        let lock = self.settings.duration;
        let mut ticks = ticks(lock / RENEWALS, lock / RENEWALS);
        loop {
            ticks.tick().await;
            let held = self.hand.locks();
            if held.is_empty() {
                continue;
            }
            // A job that was finished meanwhile has no lock either: its worker is told when it
            // says what became of the job.
            if self.locks.extend(&held, lock).await.is_err() {
                self.metrics.lock_errors.inc();
            }
        }
    }

    async fn look_for_stalled(&self) {
        let interval = self.settings.stalled_interval;
        // The queue's workers share one check in an interval; asked at the interval itself, it
        // would as often as not be a moment too early.
        let mut ticks = ticks(Duration::ZERO, interval / 2);
        loop {
            ticks.tick().await;
            let stalled = self.locks.put_back_stalled(interval, MAX_STALLED).await;
            let stalled = stalled.unwrap_or_else(|_| {
                self.metrics.lock_errors.inc();
                Vec::new()
            });
            self.metrics.stalled.inc_by(stalled.len() as u64);
            if let Some(first) = stalled.first() {
                tracing::warn!(
                    queue.name = %self.queue,
                    queue.stalled = stalled.len(),
                    job.id = %loggable_id(first),
                    "put back jobs whose worker is gone; the first is named"
                );
            }
        }
    }
}

fn ticks(first: Duration, every: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + first, every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
