//! The last good reading, and whether it is still worth something.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::limit::LimitUse;
use crate::queue::counts::QueueCounts;

/// One successful reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) counts: QueueCounts,
    /// Of the workspace; none where it is not known.
    pub(super) limit: Option<LimitUse>,
    /// For people and Prometheus: ms since the Unix epoch by this machine's clock.
    pub(super) at_ms: u64,
    /// For judging the age, whatever the clock does.
    pub(super) at: Instant,
}

/// The names under which a queue is published.
#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) pipeline: String,
    pub(super) queue: String,
}

/// Reads what the poller last wrote; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Latest {
    reading: watch::Receiver<Option<Reading>>,
    stale_after: Duration,
}

impl Latest {
    pub(super) fn new(stale_after: Duration) -> (watch::Sender<Option<Reading>>, Self) {
        let (sender, reading) = watch::channel(None);
        (
            sender,
            Self {
                reading,
                stale_after,
            },
        )
    }

    /// The last good reading, however old.
    pub(super) fn reading(&self) -> Option<Reading> {
        *self.reading.borrow()
    }

    /// The counts, as long as they are known.
    pub(super) fn counts(&self) -> Option<QueueCounts> {
        self.fresh().map(|reading| reading.counts)
    }

    /// The last good reading, as long as it is worth something.
    pub(super) fn fresh(&self) -> Option<Reading> {
        self.reading()
            .filter(|reading| reading.at.elapsed() <= self.stale_after)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const STALE_AFTER: Duration = Duration::from_secs(30);

    /// What the poller would have written just now.
    pub(in crate::metrics) fn known(counts: QueueCounts) -> Latest {
        let (sender, latest) = Latest::new(STALE_AFTER);
        let (at_ms, at) = (1_500, Instant::now());
        let limit = Some(LimitUse {
            requests_per_second: 80.0,
            used_ratio: Some(0.5),
            circuit_open: false,
        });
        sender.send_replace(Some(Reading {
            counts,
            limit,
            at_ms,
            at,
        }));
        latest
    }

    pub(in crate::metrics) fn names() -> Names {
        Names {
            pipeline: "events".to_owned(),
            queue: "cio-events".to_owned(),
        }
    }

    #[test]
    fn before_the_first_reading_nothing_is_known() {
        let (_sender, latest) = Latest::new(STALE_AFTER);
        assert!(latest.counts().is_none() && latest.reading().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_counts_for_as_long_as_it_is_not_stale() {
        let counts = QueueCounts {
            waiting: 7,
            ..QueueCounts::default()
        };
        let latest = known(counts);
        tokio::time::advance(STALE_AFTER).await;
        assert_eq!(latest.counts().map(|counts| counts.waiting), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_reading_is_unknown_but_its_time_is_told() {
        let latest = known(QueueCounts::default());
        tokio::time::advance(STALE_AFTER + Duration::from_millis(1)).await;
        assert!(latest.counts().is_none());
        assert_eq!(latest.reading().map(|reading| reading.at_ms), Some(1_500));
    }
}
