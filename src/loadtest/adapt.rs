//! `--adapt`: which share of the rate a workspace takes without 429. Pure: fed once a second.
//!
//! A limit that refuses what is above it says itself how much it takes: the share of the requests that it
//! accepted. So one step leads near the rate that holds, and later ones are small corrections.

use std::fmt;

use super::recorder::Recorder;
use super::schedule::real;

/// How far below what was accepted the next rate is: a limit counts in spans that no schedule is even in.
const MARGIN: f64 = 0.92;
/// Likewise for a later fall, from a rate that is near it already.
const CORRECTION: f64 = 0.97;
/// The share where nothing was accepted, which says no rate.
const BLIND: f64 = 0.5;
/// The rate never falls below this share of the schedule's.
const LEAST: f64 = 0.01;

/// What one second saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Second {
    /// Requests answered with 200.
    pub accepted: u64,
    /// Requests answered with 429.
    pub throttled: u64,
    /// Requests that came to an end, however.
    pub requests: u64,
}

/// The rate that held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Requests a second, the mean of the seconds since the last 429.
    pub requests_per_second: f64,
    /// The highest of these seconds.
    pub highest: u64,
    /// How many seconds these are.
    pub seconds: u64,
    /// The share of the schedule's rate that it came to.
    pub factor: f64,
}

/// The search for the rate.
#[derive(Debug, Clone)]
pub struct Adapt {
    factor: f64,
    /// Right after a fall there are answers to what was sent before it.
    settling: bool,
    /// The numbers a second ago.
    last: Second,
    /// Seconds since the last 429, their requests, and the most in one of them.
    seconds: u64,
    requests: u64,
    highest: u64,
}

impl Default for Adapt {
    fn default() -> Self {
        Self {
            factor: 1.0,
            settling: false,
            last: Second::default(),
            seconds: 0,
            requests: 0,
            highest: 0,
        }
    }
}

impl Adapt {
    /// Takes the run's numbers after one more second; the new share of the rate where it is to fall.
    pub fn look(&mut self, numbers: &Recorder) -> Option<f64> {
        let now = Second {
            accepted: numbers.statuses.get(&200).copied().unwrap_or(0),
            throttled: numbers.throttled(),
            requests: numbers.requests,
        };
        let second = Second {
            accepted: now.accepted - self.last.accepted,
            throttled: now.throttled - self.last.throttled,
            requests: now.requests - self.last.requests,
        };
        self.last = now;
        self.second(second)
    }

    fn second(&mut self, second: Second) -> Option<f64> {
        if second.throttled == 0 {
            self.settling = false;
            // Silence says nothing about a rate.
            self.seconds += u64::from(second.requests > 0);
            self.requests += second.requests;
            self.highest = self.highest.max(second.requests);
            return None;
        }
        (self.seconds, self.requests, self.highest) = (0, 0, 0);
        if self.settling {
            self.settling = false;
            return None;
        }
        self.settling = true;
        let factor = (self.factor * self.fall(second)).max(LEAST);
        (factor < self.factor).then(|| {
            self.factor = factor;
            factor
        })
    }

    /// What the share is multiplied by after a second with 429s.
    fn fall(&self, second: Second) -> f64 {
        if second.accepted == 0 {
            return BLIND;
        }
        let margin = if self.factor < 1.0 {
            CORRECTION
        } else {
            MARGIN
        };
        margin * real(second.accepted) / real(second.accepted + second.throttled)
    }

    /// The rate that held: nothing where the run ended among 429s.
    pub fn held(&self) -> Option<Held> {
        (self.seconds > 0).then(|| Held {
            requests_per_second: real(self.requests) / real(self.seconds),
            highest: self.highest,
            seconds: self.seconds,
            factor: self.factor,
        })
    }
}

impl fmt::Display for Adapt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(held) = self.held() else {
            return f.write_str("no rate held: there were 429s to the end");
        };
        write!(
            f,
            "{:.1} requests/s held for {} s without 429 (highest second {}), at {:.0}% of the rate asked for",
            held.requests_per_second,
            held.seconds,
            held.highest,
            held.factor * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_to_what_was_accepted_until_no_429_comes() {
        for (name, seconds, factors) in [
            ("no 429", vec![(100, 0), (100, 0)], vec![None, None]),
            ("four in ten", vec![(40, 60)], vec![Some(0.368)]),
            (
                "answers to what was sent before",
                vec![(40, 60), (38, 9), (38, 0)],
                vec![Some(0.368), None, None],
            ),
            (
                "still too much",
                vec![(40, 60), (38, 9), (20, 20)],
                vec![Some(0.368), None, Some(0.178_48)],
            ),
            (
                "nothing accepted",
                vec![(0, 10), (0, 10), (0, 10)],
                vec![Some(0.5), None, Some(0.25)],
            ),
            ("one in a thousand", vec![(999, 1)], vec![Some(0.919_08)]),
            (
                "never to nothing",
                vec![(1, 9_999), (1, 0), (1, 9_999)],
                vec![Some(LEAST), None, None],
            ),
        ] {
            let mut adapt = Adapt::default();
            let mut next = |(accepted, throttled)| {
                adapt.second(Second {
                    accepted,
                    throttled,
                    requests: accepted + throttled,
                })
            };
            let read: Vec<Option<f64>> = seconds.into_iter().map(&mut next).collect();
            let rounded = |it: &Option<f64>| it.map(|factor| (factor * 1e6).round());
            let (read, wanted): (Vec<_>, Vec<_>) = (
                read.iter().map(rounded).collect(),
                factors.iter().map(rounded).collect(),
            );
            assert_eq!(read, wanted, "{name}");
        }
    }

    #[test]
    fn the_rate_that_held_is_that_of_the_seconds_since_the_last_429() {
        let mut adapt = Adapt::default();
        assert_eq!(adapt.held(), None);
        for (accepted, throttled) in [(80, 20), (40, 60), (36, 0), (0, 0), (40, 0), (38, 0)] {
            let requests = accepted + throttled;
            adapt.second(Second {
                accepted,
                throttled,
                requests,
            });
        }
        let held = adapt.held().unwrap();
        let text = "38.0 requests/s held for 3 s without 429 (highest second 40), at 74% of";
        assert!(adapt.to_string().starts_with(text), "{adapt}");
        assert_eq!((held.seconds, held.highest), (3, 40));
        assert!((held.requests_per_second - 38.0).abs() < 1e-9);
        adapt.second(Second {
            accepted: 0,
            throttled: 1,
            requests: 1,
        });
        assert_eq!(adapt.held(), None);
    }
}
