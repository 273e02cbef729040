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

/// The rate that held: whole seconds in a row without 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// How many seconds.
    pub seconds: u64,
    /// Their requests.
    pub requests: u64,
    /// The most in one of them.
    pub highest: u64,
}

impl Held {
    /// The mean.
    pub fn requests_per_second(&self) -> f64 {
        real(self.requests) / real(self.seconds.max(1))
    }
}

/// The search for the rate.
#[derive(Debug, Clone)]
pub struct Adapt {
    factor: f64,
    /// Right after a fall there are answers to what was sent before it.
    settling: bool,
    /// The numbers a second ago.
    last: Second,
    /// The seconds since the last 429.
    now: Held,
    /// The longest such stretch between two of them. What was before the first says only what the schedule
    /// asked.
    best: Held,
}

impl Default for Adapt {
    fn default() -> Self {
        Self {
            factor: 1.0,
            settling: false,
            last: Second::default(),
            now: Held::default(),
            best: Held::default(),
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
            self.now.seconds += u64::from(second.requests > 0);
            self.now.requests += second.requests;
            self.now.highest = self.now.highest.max(second.requests);
            return None;
        }
        let stretch = std::mem::take(&mut self.now);
        if self.factor < 1.0 && stretch.seconds >= self.best.seconds {
            self.best = stretch;
        }
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

    /// Which share of the schedule's rate was asked at the end: 1 where it never fell.
    pub fn share(&self) -> f64 {
        self.factor
    }

    /// The rate that held longest, of two equal ones the later; nothing where none held for a second.
    pub fn held(&self) -> Option<Held> {
        let longest = if self.now.seconds >= self.best.seconds {
            self.now
        } else {
            self.best
        };
        (longest.seconds > 0).then_some(longest)
    }
}

impl fmt::Display for Adapt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.factor * 100.0;
        match self.held() {
            Some(held) => write!(
                f,
                "{:.1} requests/s held for {} s without 429 (highest second {}); ",
                held.requests_per_second(),
                held.seconds,
                held.highest
            ),
            None => f.write_str("no rate held for a second without 429; "),
        }?;
        write!(f, "at the end {percent:.0}% of the rate was asked")
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
    fn the_rate_that_held_is_that_of_the_longest_stretch_without_429() {
        let mut adapt = Adapt::default();
        let mut feed = |seconds: &[(u64, u64)]| {
            for &(accepted, throttled) in seconds {
                adapt.second(Second {
                    accepted,
                    throttled,
                    requests: accepted + throttled,
                });
            }
            adapt.held().map(|it| (it.seconds, it.requests, it.highest))
        };
        assert_eq!(feed(&[]), None);
        assert_eq!(feed(&[(10, 0), (20, 0)]), Some((2, 30, 20)));
        // What was before the first 429 does not count, nor does silence.
        assert_eq!(feed(&[(80, 20), (40, 60)]), None);
        let longest = Some((3, 114, 40));
        assert_eq!(feed(&[(36, 0), (0, 0), (40, 0), (38, 0)]), longest);
        assert_eq!(feed(&[(38, 2), (35, 0), (35, 0)]), longest);
        assert_eq!(feed(&[(34, 0)]), Some((3, 104, 35)));
        let text = "34.7 requests/s held for 3 s without 429 (highest second 35); at the end 68%";
        assert!(adapt.to_string().starts_with(text), "{adapt}");
    }
}
