//! Reads the queue at a steady pace and says, once, when it cannot and when it can again.

use std::fmt::Display;
use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use super::latest::{Latest, Reading};
use super::limit::{LastUse, LimitFollower, LimitUse};
use crate::queue::counts::CountsReader;
use crate::runtime::clock::Clock;

/// The loop's parts.
pub(super) struct Poller {
    pub(super) reader: CountsReader,
    /// The workspace's limit; none for a worker that does not share one.
    pub(super) limit: Option<LimitFollower>,
    pub(super) last_use: LastUse,
    pub(super) clock: Clock,
    pub(super) readings: watch::Sender<Option<Reading>>,
    pub(super) errors: IntCounter,
}

impl Poller {
    /// Reads every `pace`, for ever; one reading at a time, each of which ends within seconds.
    pub(super) async fn run(mut self, pace: Duration) {
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut contacts = [Contact::of("queue"), Contact::of("limit")];
        loop {
            ticks.tick().await;
            self.poll(&mut contacts).await;
        }
    }

    async fn poll(&mut self, [contact, limit_contact]: &mut [Contact; 2]) {
        // Taken before the questions: the answers are at most as old as this says.
        let (at_ms, at) = (self.clock.now_ms(), Instant::now());
        // At once: where Redis is slow, the depth is not held up by two answers one after the other.
        let (counts, limit) = tokio::join!(self.reader.read(), read_limit(&mut self.limit));
        let read = limit.and_then(|limit| self.told(limit_contact, limit));
        let limit = self.last_use.take(read, Instant::now());
        if let Some(counts) = self.told(contact, counts) {
            self.readings.send_replace(Some(Reading {
                counts,
                limit,
                at_ms,
                at,
            }));
        }
    }

    /// What was read; a failure is counted, and logged where it is news. The limit is worth less than
    /// the depth: that it cannot be read keeps nothing back.
    fn told<T, E: Display>(&self, contact: &mut Contact, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(read) => {
                contact.succeeded();
                Some(read)
            }
            Err(error) => {
                self.errors.inc();
                contact.failed(&error.to_string());
                None
            }
        }
    }
}

async fn read_limit(limit: &mut Option<LimitFollower>) -> Option<Result<LimitUse, String>> {
    Some(limit.as_mut()?.read().await)
}

/// Whether something could be read last time; logs the changes only.
#[derive(Debug)]
struct Contact {
    what: &'static str,
    lost: bool,
}

impl Contact {
    fn of(what: &'static str) -> Self {
        Self { what, lost: false }
    }

    fn succeeded(&mut self) {
        if std::mem::take(&mut self.lost) {
            tracing::info!("reading the {} again", self.what);
        }
    }

    fn failed(&mut self, error: &str) {
        if !std::mem::replace(&mut self.lost, true) {
            tracing::warn!(error, "failed to read the {}; trying on", self.what);
        }
    }
}

/// Writes the guide's health line every `pace`, for ever; none while the counts are unknown.
pub(super) async fn write_health(latest: Latest, queue: String, pace: Duration) {
    let mut ticks = interval_at(Instant::now() + pace, pace);
    loop {
        ticks.tick().await;
        if let Some(counts) = latest.counts() {
            counts.log_health(&queue);
        }
    }
}
