//! The limit of a process that delivers alone: what `limit.lua` decides, without Redis. Its numbers are
//! that script's.

use std::time::Duration;

use tokio::time::Instant;

use super::script::Reply;

const SECOND: Duration = Duration::from_secs(1);
/// The part of the rate that is handed out: the rest is the margin for jitter.
pub(super) const USED: f64 = 0.98;
/// Moments are handed out no further ahead than this.
const AHEAD: Duration = Duration::from_millis(100);
/// A moment that passed unused this short ago may still be used.
const BEHIND: Duration = Duration::from_millis(4);
/// After answers 429: what is left of the rate each time, what comes back after a while without
/// one, and the least that stays.
const FALL: f64 = 0.7;
const RISE: f64 = 0.1;
const LEAST: f64 = 0.1;
const STEP: Duration = Duration::from_secs(5);

/// Evenly spaced moments, at most `rate` a second.
#[derive(Debug)]
pub(super) struct LocalLimit {
    rate: u32,
    /// The first moment that is not taken.
    next: Instant,
    /// What is left of the rate after answers 429, and when that last changed.
    factor: f64,
    changed: Option<Instant>,
    /// Nothing before this moment.
    hold: Instant,
}

impl LocalLimit {
    /// The process before this one may have used up the last second.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Self {
            rate,
            next: now + SECOND,
            factor: 1.0,
            changed: None,
            hold: now,
        }
    }

    /// Hands out up to `wanted` moments. `throttled` is what an answer 429 asked to wait.
    pub(super) fn ask(
        &mut self,
        wanted: usize,
        throttled: Option<Duration>,
        now: Instant,
    ) -> Reply {
        self.adapt(throttled, now);
        // At least one a second, however low the factor is.
        let rate = (f64::from(self.rate) * self.factor).max(1.0);
        let interval = SECOND.div_f64(rate * USED);
        let earliest = now.checked_sub(BEHIND).unwrap_or(now);
        let first = self.next.max(earliest).max(self.hold);
        let wait = first.saturating_duration_since(now);
        let mut reply = Reply {
            granted: 0,
            wait_us: micros(wait.saturating_sub(AHEAD)),
            interval,
            next: 0,
            lowest: self.rate,
            permille: permille(self.factor),
        };
        if wanted > 0 && wait <= AHEAD {
            let room = 1 + AHEAD.saturating_sub(wait).as_micros() / interval.as_micros().max(1);
            reply.granted = u32::try_from(room).unwrap_or(u32::MAX);
            reply.granted = reply.granted.min(u32::try_from(wanted).unwrap_or(u32::MAX));
            reply.wait_us = micros(wait) - micros(now.saturating_duration_since(first));
            self.next = first + interval * reply.granted;
        }
        reply
    }

    fn adapt(&mut self, throttled: Option<Duration>, now: Instant) {
        let since = self.changed.map(|at| now.saturating_duration_since(at));
        let before = self.factor;
        if let Some(asked) = throttled {
            self.hold = self.hold.max(now + asked);
            // The answers to requests of the same moment are one event.
            if permille(self.factor) == 1000 || since.is_none_or(|since| since > SECOND) {
                self.factor = (self.factor * FALL).max(LEAST);
            }
        } else if self.factor < 1.0 && since.is_none_or(|since| since > STEP) {
            self.factor = (self.factor + RISE).min(1.0);
        }
        if permille(before) != permille(self.factor) {
            self.changed = Some(now);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a factor is from 0 to 1"
)]
fn permille(factor: f64) -> u32 {
    (factor * 1000.0).round() as u32
}

fn micros(time: Duration) -> i64 {
    time.as_micros().try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const RATE: u32 = 80;

    /// The constants of the script: `local A, B = 1, 2 * SECOND`, a product being of two factors.
    fn constants_of_the_script() -> HashMap<&'static str, f64> {
        let mut known = HashMap::new();
        for line in include_str!("limit.lua").lines() {
            let Some((names, values)) = line
                .strip_prefix("local ")
                .and_then(|rest| rest.split_once(" = "))
            else {
                continue;
            };
            for (name, value) in names.split(", ").zip(values.split(", ")) {
                let factors: Option<Vec<f64>> = value
                    .split(" * ")
                    .map(|factor| known.get(factor).copied().or_else(|| factor.parse().ok()))
                    .collect();
                if let Some(factors) = factors {
                    known.insert(name, factors.iter().product());
                }
            }
        }
        known
    }

    #[test]
    fn the_numbers_are_those_of_the_script() {
        let script = constants_of_the_script();
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        for (name, here) in [
            ("SECOND", micros(SECOND)),
            ("USED", USED),
            ("AHEAD", micros(AHEAD)),
            ("BEHIND", micros(BEHIND)),
            ("STEP", micros(STEP)),
            ("FALL", FALL),
            ("RISE", RISE),
            ("LEAST", LEAST),
        ] {
            let there = script.get(name).copied();
            let agree = there.is_some_and(|there| (there - here).abs() < 1e-6);
            assert!(agree, "{name}: {here} here, {there:?} in limit.lua");
        }
    }

    /// Asks without pause for `seconds` and returns when each moment granted is, in µs.
    fn moments(limit: &mut LocalLimit, start: Instant, seconds: u64) -> Vec<u128> {
        let mut moments = Vec::new();
        for ms in 0..seconds * 1_000 {
            let now = start + Duration::from_millis(ms);
            let reply = limit.ask(3, None, now);
            let first = Duration::from_micros(reply.wait_us.unsigned_abs());
            let first = if reply.wait_us < 0 {
                now - first
            } else {
                now + first
            };
            moments.extend(
                (0..reply.granted).map(|n| (first + reply.interval * n - start).as_micros()),
            );
        }
        moments
    }

    #[test]
    fn any_second_has_at_most_the_rate_and_nearly_all_of_it() {
        let start = Instant::now();
        let moments = moments(&mut LocalLimit::new(RATE, start), start, 10);
        assert!(moments[0] >= 1_000_000, "the last second counts as full");
        let most = (0..moments.len())
            .map(|at| {
                let end = moments[at] + 1_000_000;
                moments[at..].iter().filter(|&&other| other < end).count()
            })
            .max();
        assert!(
            most.is_some_and(|most| (78..=80).contains(&most)),
            "{most:?}"
        );
    }

    #[test]
    fn a_rate_of_one_stays_one_a_second_and_what_came_back_falls_at_once() {
        let start = Instant::now();
        let mut limit = LocalLimit::new(1, start);
        let at = |ms| start + Duration::from_millis(ms);
        for second in 0..10 {
            limit.ask(0, Some(Duration::ZERO), at(second * 2_000));
        }
        let slow = limit.ask(1, None, at(30_000));
        assert_eq!(slow.interval, SECOND.div_f64(USED));

        let mut limit = LocalLimit::new(RATE, start);
        limit.ask(0, Some(Duration::ZERO), at(0));
        let steps = [6_000, 12_000, 18_000].map(|ms| limit.ask(0, None, at(ms)).permille);
        assert_eq!(steps, [800, 900, 1000]);
        let again = limit.ask(0, Some(Duration::ZERO), at(18_100));
        assert_eq!(again.permille, 700);
    }

    #[test]
    fn a_429_lowers_the_rate_once_a_second_and_it_comes_back_by_steps() {
        let start = Instant::now();
        let mut limit = LocalLimit::new(RATE, start);
        let asked = Some(Duration::from_secs(7));
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(limit.ask(0, asked, at(0)).permille, 700);
        assert_eq!(limit.ask(0, asked, at(10)).permille, 700);
        let held = limit.ask(1, None, at(1_500));
        assert_eq!((held.granted, held.permille), (0, 700));
        assert!(held.wait_us > 5_000_000, "{held:?}");
        assert_eq!(limit.ask(0, None, at(5_001)).permille, 800);
        assert_eq!(limit.ask(0, None, at(6_000)).permille, 800);
        assert_eq!(limit.ask(0, None, at(10_100)).permille, 900);
    }
}
