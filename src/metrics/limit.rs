//! How much of the workspace's limit is used, over the last seconds.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::client::Region;
use crate::delivery::limiter::limit_key;
use crate::delivery::limiter::usage::{LimitReading, UsageReader};
use crate::delivery::site_id::SiteId;
use crate::runtime::run_script::RunScript;

/// What is used is reckoned over the time in which so many requests may be sent: fewer say little,
/// and more say it late.
const REQUESTS: f64 = 20.0;
/// That time is no shorter and no longer than this, in seconds by Redis' clock.
const SPAN: (f64, f64) = (1.5, 10.0);
/// Readings in memory, whatever the pace: 10 s at the fastest, and some.
const MOST_READINGS: usize = 128;
/// So long the last reading stands while newer ones fail: a few polls, and no more than the span.
const KEEP: Duration = Duration::from_secs(10);

/// Which limit to look at.
pub struct LimitSource {
    /// Where it is kept.
    pub store: Arc<dyn RunScript>,
    /// With the site id, which workspace.
    pub region: Region,
    /// The workspace.
    pub site_id: SiteId,
    /// Whose circuit to show, as their workers announce it.
    pub whose: String,
    /// What this pod's worker is set to, in requests/s, above 0.
    pub requests_per_second: u32,
}

impl fmt::Debug for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitSource")
            .field("requests_per_second", &self.requests_per_second)
            .finish_non_exhaustive()
    }
}

/// The limit as it is published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LimitUse {
    /// In force now.
    pub(super) requests_per_second: f64,
    /// The part that was taken, 0 to 1; none before there is something to compare with.
    pub(super) used_ratio: Option<f64>,
    pub(super) circuit_open: bool,
}

/// Follows one limit.
#[derive(Debug)]
pub(super) struct LimitFollower {
    source: LimitSource,
    reader: UsageReader,
    window: Window,
}

impl LimitFollower {
    pub(super) fn new(source: LimitSource) -> Self {
        Self {
            source,
            reader: UsageReader::default(),
            window: Window::default(),
        }
    }

    /// Reads it now.
    ///
    /// # Errors
    /// A sentence for the log: there is no site id yet, or Redis does not answer.
    pub(super) async fn read(&mut self) -> Result<LimitUse, String> {
        let site_id = self.source.site_id.read().await;
        let site_id = site_id.map_err(|error| error.to_string())?;
        let key = limit_key(self.source.region, &site_id);
        let store = self.source.store.as_ref();
        let reading = self.reader.read(store, &key, &self.source.whose).await?;
        Ok(self
            .window
            .take(key, reading, self.source.requests_per_second))
    }
}

/// The last reading that succeeded: one that fails says nothing of the limit.
#[derive(Debug, Default)]
pub(super) struct LastUse(Option<(LimitUse, Instant)>);

impl LastUse {
    /// Takes a reading in, none where it failed; what is known at `now`.
    pub(super) fn take(&mut self, read: Option<LimitUse>, now: Instant) -> Option<LimitUse> {
        if let Some(read) = read {
            self.0 = Some((read, now));
        }
        let (last, at) = self.0?;
        (now.duration_since(at) <= KEEP).then_some(last)
    }
}

/// The readings of the last seconds, of one key.
#[derive(Debug, Default)]
struct Window {
    key: String,
    readings: VecDeque<LimitReading>,
}

impl Window {
    /// Takes one in. `own` is the rate where nobody sends: then it is what the next would have.
    fn take(&mut self, key: String, reading: LimitReading, own: u32) -> LimitUse {
        let rate = reading.requests_per_second.unwrap_or(f64::from(own));
        if self.key != key {
            self.key = key;
            self.readings.clear();
        }
        let span = (REQUESTS / rate.max(f64::MIN_POSITIVE)).clamp(SPAN.0, SPAN.1);
        while self.is_too_long(reading.at_us, span) {
            self.readings.pop_front();
        }
        let used = self
            .readings
            .front()
            .map(|oldest| reading.used_since(oldest, rate));
        if used == Some(None) {
            // The key began anew, or Redis' clock was set back.
            self.readings.clear();
        }
        self.readings.push_back(reading);
        LimitUse {
            requests_per_second: rate,
            // While Customer.io asks to wait there is nothing that could be used.
            used_ratio: if reading.held {
                Some(1.0)
            } else {
                used.flatten()
            },
            circuit_open: reading.circuit_open,
        }
    }

    /// Whether the span is covered without the oldest.
    fn is_too_long(&self, now_us: u64, span: f64) -> bool {
        let covered = self.readings.get(1).is_some_and(|second| {
            Duration::from_micros(now_us.saturating_sub(second.at_us)).as_secs_f64() >= span
        });
        covered || self.readings.len() > MOST_READINGS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(second: u64, granted: u64) -> LimitReading {
        LimitReading {
            at_us: second * 1_000_000,
            requests_per_second: Some(100.0),
            granted,
            held: false,
            circuit_open: false,
        }
    }

    fn percent(limit: LimitUse) -> Option<i64> {
        let ratio = limit.used_ratio?;
        #[expect(clippy::cast_possible_truncation, reason = "0 to 100")]
        let percent = (ratio * 100.0).round() as i64;
        Some(percent)
    }

    #[test]
    fn what_is_used_is_reckoned_over_a_few_requests_and_anew_for_a_new_key() {
        let mut window = Window::default();
        let mut take = |key: &str, second, granted| {
            percent(window.take(key.to_owned(), reading(second, granted), 100))
        };
        assert_eq!(take("a", 100, 0), None);
        assert_eq!(take("a", 102, 196), Some(100));
        assert_eq!(take("a", 104, 294), Some(50));
        assert_eq!(take("a", 106, 294), Some(0));
        assert_eq!(take("a", 108, 3), None, "the key began anew");
        assert_eq!(take("a", 110, 101), Some(50));
        assert_eq!(take("b", 112, 101), None);
    }

    #[test]
    fn at_a_low_rate_it_is_reckoned_over_ten_seconds() {
        let mut window = Window::default();
        let mut take = |second, granted| {
            let mut reading = reading(second, granted);
            reading.requests_per_second = Some(1.0 / 0.98);
            percent(window.take("a".to_owned(), reading, 1))
        };
        take(0, 0);
        // One request more or less in two seconds would be half of the rate.
        assert_eq!(take(10, 10), Some(100));
        assert_eq!(take(12, 11), Some(92));
        assert_eq!(take(14, 13), Some(93));
    }

    #[test]
    fn the_own_setting_counts_while_nobody_sends_and_a_wait_uses_it_up() {
        let mut window = Window::default();
        let mut idle = reading(1, 0);
        idle.requests_per_second = None;
        let found = window.take("a".to_owned(), idle, 80);
        assert!((found.requests_per_second - 80.0).abs() < 1e-9);
        idle.held = true;
        assert_eq!(percent(window.take("a".to_owned(), idle, 80)), Some(100));
    }

    #[test]
    fn a_failed_reading_leaves_the_last_one_standing_for_ten_seconds() {
        let start = Instant::now();
        let read = |requests_per_second| LimitUse {
            requests_per_second,
            used_ratio: Some(0.98),
            circuit_open: false,
        };
        let mut last = LastUse::default();
        for (second, found, expected) in [
            (0, None, None),
            (2, Some(80.0), Some(80.0)),
            (4, None, Some(80.0)),
            (12, None, Some(80.0)),
            (13, None, None),
            (14, Some(50.0), Some(50.0)),
            (16, None, Some(50.0)),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(
                last.take(found.map(read), now),
                expected.map(read),
                "{second}"
            );
        }
    }

    #[test]
    fn readings_are_bounded() {
        let mut window = Window::default();
        for _ in 0..1000 {
            window.take("a".to_owned(), reading(1, 0), 80);
        }
        assert!(window.readings.len() <= MOST_READINGS + 1);
    }
}
