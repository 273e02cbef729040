//! What a person sees while the test runs: a live view on a terminal, otherwise a line now and then.

use tokio_util::sync::CancellationToken;

use super::live::Live;
use crate::loadtest::profile::duration::show;
use crate::loadtest::recorder::{Latencies, Recorder};
use crate::loadtest::run::{Settings, Tick};
use crate::loadtest::summary::percent;

/// Seconds between two lines.
const LINE_EVERY: u64 = 5;

/// The view.
#[derive(Debug)]
pub(super) struct Progress {
    live: Option<Live>,
    phase: &'static str,
    meter: Meter,
}

impl Progress {
    /// For a run that begins; a terminal is given back at `stop`, or when this is dropped.
    pub(super) fn new(phase: &'static str, settings: &Settings, stop: &CancellationToken) -> Self {
        Self {
            live: Live::open(phase, settings, stop),
            phase,
            meter: Meter::default(),
        }
    }

    /// Shows one more second.
    pub(super) fn show(&mut self, tick: &Tick<'_>) {
        if self.live.as_ref().is_some_and(Live::is_open) {
            if let Some(live) = &mut self.live {
                live.show(tick);
            }
        } else if tick.second.is_multiple_of(LINE_EVERY) {
            eprintln!("{} {}", self.phase, line(tick, self.meter.read(tick)));
        }
    }
}

/// What a run did since it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rates {
    /// Iterations that began, a second.
    pub(super) iterations: f64,
    /// Requests that came to their end, a second.
    pub(super) requests: f64,
}

/// Rates from totals.
#[derive(Debug, Default)]
pub(super) struct Meter {
    seconds: f64,
    iterations: u64,
    requests: u64,
}

impl Meter {
    /// The rates since the last reading.
    pub(super) fn read(&mut self, tick: &Tick<'_>) -> Rates {
        let now = Self {
            seconds: tick.elapsed.as_secs_f64(),
            iterations: tick.numbers.started,
            requests: tick.numbers.requests,
        };
        let seconds = (now.seconds - self.seconds).max(0.001);
        let rates = Rates {
            iterations: real(now.iterations - self.iterations) / seconds,
            requests: real(now.requests - self.requests) / seconds,
        };
        *self = now;
        rates
    }
}

/// k6's first words, and what matters beside them.
fn line(tick: &Tick<'_>, rates: Rates) -> String {
    let it = tick.numbers;
    format!(
        "running ({} of {}, {} left), {}/{} VUs, {} complete, {} dropped; asked {:.1} iterations/s, got {:.1} \
         ({:.1} requests/s); {:.2}% 429, {} errors; p50/p95/p99 ms {}",
        show(tick.elapsed),
        show(tick.length),
        show(tick.length.saturating_sub(tick.elapsed)),
        it.users,
        it.allocated,
        it.completed,
        it.dropped,
        tick.offered,
        rates.iterations,
        rates.requests,
        percent(it.throttled(), it.requests),
        it.errors,
        latencies(it),
    )
}

fn latencies(it: &Recorder) -> String {
    if it.enqueue.count() > 0 {
        return queue_latencies(it);
    }
    let both = |name: &str, it: &Latencies| {
        let [send, schedule] = [&it.from_send, &it.from_schedule].map(|it| {
            let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percent| it.percentile(percent));
            format!("{p50:.1}/{p95:.1}/{p99:.1}")
        });
        format!("{name} {send} from send, {schedule} from schedule")
    };
    let (identify, track) = (both("identify", &it.identify), both("track", &it.track));
    format!("{identify}; {track}")
}

fn queue_latencies(it: &Recorder) -> String {
    let [enqueue, lag] = [&it.enqueue, &it.lag].map(|it| {
        let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percent| it.percentile(percent));
        format!("{p50:.1}/{p95:.1}/{p99:.1}")
    });
    let pending = it.requests.saturating_sub(it.answered);
    format!("{enqueue} to enqueue, {lag} to acceptance; {pending} jobs pending")
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_says_what_was_asked_and_what_was_got_since_the_last_one() {
        let mut meter = Meter::default();
        let tick = |second, numbers| Tick {
            second,
            elapsed: Duration::from_secs(second),
            length: Duration::from_mins(2),
            numbers,
            offered: 20.0,
        };
        let numbers = |started, requests| Recorder {
            started,
            requests,
            statuses: [(429, requests / 4)].into(),
            ..Recorder::default()
        };
        let first = numbers(50, 100);
        meter.read(&tick(5, &first));
        let second = numbers(145, 280);
        let tick = tick(10, &second);
        let text = line(&tick, meter.read(&tick));
        for words in [
            "(10.0s of 2m00.0s, 1m50.0s left)",
            "asked 20.0 iterations/s, got 19.0 (36.0 requests/s); 25.00% 429",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}
