//! What arrived when, counted as it comes: cheap enough never to be what a benchmark measures.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

/// One second, in the microseconds that everything here counts in.
const SECOND: u64 = 1_000_000;
/// Arrival times that are kept for `/_sim/arrivals`.
const KEEP_ARRIVALS: usize = 1_000_000;
/// Counts of 100 ms that are kept: half an hour.
const KEEP_TENTHS: usize = 18_000;
/// With more site ids than this, those that were quiet for a second are forgotten.
const MANY_SITES: usize = 1_000;

/// The requests in the last second, and the most there ever were.
#[derive(Debug, Default)]
struct Window {
    times: VecDeque<u64>,
    most: usize,
}

impl Window {
    fn arrive(&mut self, now: u64) {
        self.forget(now);
        self.times.push_back(now);
        self.most = self.most.max(self.times.len());
    }

    /// As [`Self::arrive`], but only where that makes at most `limit`.
    fn admit(&mut self, now: u64, limit: usize) -> bool {
        self.forget(now);
        let fits = self.times.len() < limit;
        if fits {
            self.times.push_back(now);
        }
        fits
    }

    /// What came a second ago or earlier is not in the second that ends now.
    fn forget(&mut self, now: u64) {
        while self
            .times
            .front()
            .is_some_and(|first| first + SECOND <= now)
        {
            self.times.pop_front();
        }
    }
}

/// The numbers, for `/_sim/state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TrafficState {
    pub(super) requests: u64,
    pub(super) throttled: u64,
    pub(super) requests_by_status: BTreeMap<u16, u64>,
    pub(super) max_requests_in_any_second: usize,
    requests_per_100ms: Tenths,
}

/// Requests in each tenth of a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Tenths {
    /// Where the first one begins, in milliseconds since the start.
    start_ms: u64,
    counts: VecDeque<u32>,
}

/// Counts of all requests, and a window for each site id.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    requests: u64,
    throttled: u64,
    by_status: BTreeMap<u16, u64>,
    all: Window,
    sites: HashMap<String, Window>,
    /// Microseconds, doubled, and one more for a PUT: a million of these are kept.
    arrivals: VecDeque<u64>,
    tenths: VecDeque<u32>,
    first_tenth: u64,
}

impl Traffic {
    /// A request came, `now` microseconds after the start.
    pub(super) fn arrive(&mut self, now: u64, is_put: bool) {
        self.requests += 1;
        self.all.arrive(now);
        self.arrivals.push_back(now << 1 | u64::from(is_put));
        if self.arrivals.len() > KEEP_ARRIVALS {
            self.arrivals.pop_front();
        }
        self.count_tenth(now / (SECOND / 10));
    }

    fn count_tenth(&mut self, tenth: u64) {
        let next = self.first_tenth + self.tenths.len() as u64;
        if self.tenths.is_empty() || tenth >= next + KEEP_TENTHS as u64 {
            // The first one, or after a silence so long that nothing before it is kept.
            self.tenths.clear();
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
        if self.sites.len() >= MANY_SITES && !self.sites.contains_key(site) {
            self.sites.retain(|_, window| {
                window.forget(now);
                !window.times.is_empty()
            });
        }
        let window = self.sites.entry(site.to_owned()).or_default();
        let within = window.admit(now, limit as usize);
        self.throttled += u64::from(!within);
        within
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, status: u16) {
        *self.by_status.entry(status).or_default() += 1;
    }

    /// Requests in each of the last `seconds` seconds, oldest first, the running one last.
    pub(super) fn last_seconds(&self, seconds: u64, now: u64) -> Vec<u32> {
        let end = now / SECOND + 1;
        (end.saturating_sub(seconds)..end)
            .map(|second| {
                (second * 10..second * 10 + 10)
                    .map(|it| self.tenth(it))
                    .sum()
            })
            .collect()
    }

    fn tenth(&self, tenth: u64) -> u32 {
        let index = tenth.checked_sub(self.first_tenth);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let count = index.and_then(|index| self.tenths.get(index));
        count.copied().unwrap_or(0)
    }

    /// Every arrival that is kept, or those of PUTs alone, in microseconds since the start.
    pub(super) fn arrivals(&self, only_puts: bool) -> Vec<u64> {
        let asked = |it: &&u64| !only_puts || **it & 1 == 1;
        self.arrivals
            .iter()
            .filter(asked)
            .map(|it| it >> 1)
            .collect()
    }

    /// A copy of the numbers.
    pub(super) fn state(&self) -> TrafficState {
        TrafficState {
            requests: self.requests,
            throttled: self.throttled,
            requests_by_status: self.by_status.clone(),
            max_requests_in_any_second: self.all.most,
            requests_per_100ms: Tenths {
                start_ms: self.first_tenth * 100,
                counts: self.tenths.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(arrivals: &[u64]) -> Traffic {
        let mut traffic = Traffic::default();
        for now in arrivals {
            traffic.arrive(*now, false);
        }
        traffic
    }

    #[test]
    fn the_most_in_any_second_is_exact() {
        let cases: [(&[u64], usize); 5] = [
            (&[], 0),
            (&[0, 999_999], 2),
            (&[0, 1_000_000], 1),
            // From 0.5 s (included) to 1.5 s (excluded), across two whole seconds.
            (&[0, 500_000, 999_999, 1_000_000, 1_499_999, 3_000_000], 4),
            (&[5, 5, 5], 3),
        ];
        for (arrivals, most) in cases {
            let state = traffic(arrivals).state();
            assert_eq!(state.max_requests_in_any_second, most, "{arrivals:?}");
            assert_eq!(state.requests, arrivals.len() as u64);
        }
    }

    #[test]
    fn the_limit_holds_in_any_second_and_counts_only_what_it_let_in() {
        let mut traffic = Traffic::default();
        let steps = [
            ("a", 0, true),
            ("a", 10, true),
            ("a", 500_000, false),
            ("a", 999_999, false),
            ("b", 999_999, true),
            ("a", 1_000_000, true),
            ("a", 1_000_009, false),
            ("a", 1_000_010, true),
        ];
        for (site, now, expected) in steps {
            assert_eq!(traffic.within_limit(site, 2, now), expected, "{site} {now}");
        }
        assert_eq!(traffic.state().throttled, 3);
    }

    #[test]
    fn site_ids_that_are_quiet_are_forgotten() {
        let mut traffic = Traffic::default();
        for site in 0..MANY_SITES {
            traffic.within_limit(&site.to_string(), 1, 0);
        }
        assert!(!traffic.within_limit("0", 1, 999_999));
        assert!(traffic.within_limit("new", 1, 1_000_000));
        assert_eq!(traffic.sites.len(), 1);
    }

    #[test]
    fn requests_are_counted_by_tenths_of_a_second() {
        let traffic = traffic(&[200_000, 250_000, 450_000]);
        let shown = serde_json::to_value(traffic.state()).unwrap();
        let expected = serde_json::json!({"start_ms": 200, "counts": [2, 0, 1]});
        assert_eq!(shown["requests_per_100ms"], expected);
    }

    #[test]
    fn arrivals_of_puts_can_be_told_from_the_others() {
        let mut traffic = Traffic::default();
        for (now, is_put) in [(3, true), (3, false), (7, true)] {
            traffic.arrive(now, is_put);
        }
        assert_eq!(traffic.arrivals(false), [3, 3, 7]);
        assert_eq!(traffic.arrivals(true), [3, 7]);
    }

    #[test]
    fn the_bars_move_on_while_nothing_comes() {
        let traffic = traffic(&[200_000, 999_999, 1_000_000, 3_500_000]);
        let cases: [(u64, &[u32]); 4] = [
            (3_600_000, &[1, 0, 1]),
            (4_000_000, &[0, 1, 0]),
            (9_000_000, &[0, 0, 0]),
            (1_500_000, &[2, 1]),
        ];
        for (now, expected) in cases {
            assert_eq!(traffic.last_seconds(3, now), expected, "at {now}");
        }
    }

    #[test]
    fn only_half_an_hour_is_kept() {
        let tenth = SECOND / 10;
        let last = KEEP_TENTHS as u64;
        let mut traffic = traffic(&[0, last * tenth]);
        let kept = traffic.state().requests_per_100ms;
        assert_eq!((kept.start_ms, kept.counts.len()), (100, KEEP_TENTHS));
        traffic.arrive(1_000 * last * tenth, false);
        let kept = traffic.state().requests_per_100ms;
        assert_eq!((kept.start_ms, kept.counts), (100_000 * last, [1].into()));
    }
}
