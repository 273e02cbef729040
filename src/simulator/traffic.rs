//! What arrived when, counted as it comes: cheap enough never to be what a benchmark measures.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde_json::{Value, json};

/// One second, in the microseconds that everything here counts in.
const SECOND: u64 = 1_000_000;
/// Arrival times that are kept for `/_sim/arrivals`.
const KEEP_ARRIVALS: usize = 1_000_000;
/// Counts of 100 ms that are kept: half an hour.
const KEEP_TENTHS: usize = 18_000;

/// The requests in the last second, and the most there ever were.
#[derive(Debug, Default)]
struct Window {
    times: VecDeque<u64>,
    most: usize,
}

impl Window {
    /// How many there are in the second that ends now, this one included.
    fn arrive(&mut self, now: u64) -> usize {
        while self
            .times
            .front()
            .is_some_and(|first| first + SECOND <= now)
        {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.most = self.most.max(self.times.len());
        self.times.len()
    }

    /// As [`Self::arrive`], but only where that makes at most `limit`.
    fn admit(&mut self, now: u64, limit: usize) -> bool {
        let fits = self.arrive(now) <= limit;
        if !fits {
            self.times.pop_back();
        }
        fits
    }
}

/// Counts of all requests, and a window for each site id.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    requests: u64,
    throttled: u64,
    by_status: BTreeMap<u16, u64>,
    all: Window,
    sites: HashMap<String, Window>,
    arrivals: VecDeque<u64>,
    tenths: VecDeque<u32>,
    first_tenth: u64,
}

impl Traffic {
    /// A request came, `now` microseconds after the start.
    pub(super) fn arrive(&mut self, now: u64) {
        self.requests += 1;
        self.all.arrive(now);
        self.arrivals.push_back(now);
        if self.arrivals.len() > KEEP_ARRIVALS {
            self.arrivals.pop_front();
        }
        self.count_tenth(now / (SECOND / 10));
    }

    fn count_tenth(&mut self, tenth: u64) {
        if self.tenths.is_empty() {
            self.first_tenth = tenth;
        }
        while self.first_tenth + (self.tenths.len() as u64) <= tenth {
            self.tenths.push_back(0);
            if self.tenths.len() > KEEP_TENTHS {
                self.tenths.pop_front();
                self.first_tenth += 1;
            }
        }
        if let Some(last) = self.tenths.back_mut() {
            *last += 1;
        }
    }

    /// Whether a request of this site is within its limit.
    pub(super) fn within_limit(&mut self, site: &str, limit: u32, now: u64) -> bool {
        let window = self.sites.entry(site.to_owned()).or_default();
        let within = window.admit(now, limit as usize);
        self.throttled += u64::from(!within);
        within
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, status: u16) {
        *self.by_status.entry(status).or_default() += 1;
    }

    /// Requests in each of the last `seconds` seconds, oldest first; for the page.
    pub(super) fn last_seconds(&self, seconds: usize) -> Vec<u32> {
        let tenths: Vec<u32> = self.tenths.iter().copied().collect();
        let start = tenths.len().saturating_sub(seconds * 10);
        tenths[start..]
            .chunks(10)
            .map(|chunk| chunk.iter().sum())
            .collect()
    }

    /// Every arrival that is kept, in microseconds since the start.
    pub(super) fn arrivals(&self) -> Vec<u64> {
        self.arrivals.iter().copied().collect()
    }

    /// The numbers, for `/_sim/state`.
    pub(super) fn state(&self) -> Value {
        let by_status: BTreeMap<String, u64> = self
            .by_status
            .iter()
            .map(|(status, count)| (status.to_string(), *count))
            .collect();
        json!({
            "requests": self.requests,
            "throttled": self.throttled,
            "requests_by_status": by_status,
            "max_requests_in_any_second": self.all.most,
            "requests_per_100ms": {
                "start_ms": self.first_tenth * 100,
                "counts": self.tenths,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_in_any_second_is_exact() {
        let mut traffic = Traffic::default();
        for now in [0, 500_000, 999_999, 1_000_000, 1_499_999, 3_000_000] {
            traffic.arrive(now);
        }
        // From 0.5 s (included) to 1.5 s (excluded).
        assert_eq!(traffic.state()["max_requests_in_any_second"], 4);
        assert_eq!(traffic.state()["requests"], 6);
    }

    #[test]
    fn a_refused_request_does_not_count_against_the_limit() {
        let mut traffic = Traffic::default();
        let admitted = |traffic: &mut Traffic, now| traffic.within_limit("site", 2, now);
        assert!(admitted(&mut traffic, 0));
        assert!(admitted(&mut traffic, 10));
        assert!(!admitted(&mut traffic, 999_999));
        assert!(admitted(&mut traffic, 1_000_000));
        assert!(traffic.within_limit("another site", 2, 1_000_000));
        assert_eq!(traffic.state()["throttled"], 1);
    }

    #[test]
    fn requests_are_counted_by_tenths_of_a_second() {
        let mut traffic = Traffic::default();
        for now in [200_000, 250_000, 450_000] {
            traffic.arrive(now);
        }
        let expected = json!({"start_ms": 200, "counts": [2, 0, 1]});
        assert_eq!(traffic.state()["requests_per_100ms"], expected);
        assert_eq!(traffic.last_seconds(2), [3]);
    }
}
