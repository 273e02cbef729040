//! Reads the queue at a steady pace and says, once, when it cannot and when it can again.

use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::latest::{Latest, Reading};
use crate::queue::QueueError;
use crate::queue::counts::{CountsReader, QueueCounts};
use crate::runtime::clock::Clock;

/// The loop's parts.
pub(super) struct Poller {
    pub(super) reader: CountsReader,
    pub(super) clock: Clock,
    pub(super) readings: watch::Sender<Option<Reading>>,
    pub(super) errors: IntCounter,
}

impl Poller {
    /// Reads every `pace`, for ever; one reading at a time, each of which ends within seconds.
    pub(super) async fn run(self, pace: Duration) {
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut contact = Contact::default();
        loop {
            ticks.tick().await;
            self.poll(&mut contact).await;
        }
    }

    async fn poll(&self, contact: &mut Contact) {
        // Taken before the question: the answer is at most as old as this says.
        let (at_ms, at) = (self.clock.now_ms(), Instant::now());
        match self.reader.read().await {
            Ok(counts) => {
                self.readings
                    .send_replace(Some(Reading { counts, at_ms, at }));
                contact.succeeded();
            }
            Err(error) => {
                self.errors.inc();
                contact.failed(&error);
            }
        }
    }
}

/// Whether Redis answered last time; logs the changes only.
#[derive(Debug, Default)]
struct Contact {
    lost: bool,
}

impl Contact {
    fn succeeded(&mut self) {
        if std::mem::take(&mut self.lost) {
            tracing::info!("reading the queue again");
        }
    }

    fn failed(&mut self, error: &QueueError) {
        if !std::mem::replace(&mut self.lost, true) {
            tracing::warn!(error = %error, "failed to read the queue; trying on");
        }
    }
}

/// Writes the guide's health line every `pace`, for ever; none while the counts are unknown.
pub(super) async fn write_health(latest: Latest, queue: String, pace: Duration) {
    let mut ticks = interval_at(Instant::now() + pace, pace);
    loop {
        ticks.tick().await;
        if let Some(counts) = latest.counts() {
            health_line(&queue, &counts);
        }
    }
}

/// What BullMQ's `getWaitingCount` calls waiting includes the paused list of BullMQ 5.
fn health_line(queue: &str, counts: &QueueCounts) {
    tracing::info!(
        queue.name = queue,
        queue.waiting = counts.waiting + counts.paused,
        queue.active = counts.active,
        queue.failed = counts.failed,
        queue.completed = counts.completed,
        "queue health"
    );
}
