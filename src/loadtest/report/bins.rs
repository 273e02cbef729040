//! The histograms of a run as one row of bins, few enough to draw.

use serde::{Deserialize, Serialize};

use crate::loadtest::histogram::{Histogram, top_ms};
use crate::loadtest::recorder::Recorder;

/// More than this many bars are a smear.
const MOST_BINS: usize = 64;

/// How many durations lie between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Above this, in ms.
    pub above_ms: f64,
    /// To this, in ms.
    pub to_ms: f64,
    /// Of the latencies from send.
    pub from_send: u64,
    /// Of the latencies from schedule.
    pub from_schedule: u64,
    /// Of those of adding a job; only through the queue.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub enqueue: u64,
    /// Of those until a job's completion was heard of; only through the queue.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lag: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The bins of a run's numbers.
pub(super) fn of(numbers: &Recorder) -> Vec<Bin> {
    let mut from_schedule = numbers.identify.from_schedule.clone();
    from_schedule.add(&numbers.track.from_schedule);
    bins([&numbers.all, &from_schedule, &numbers.enqueue, &numbers.lag])
}

/// The bins from the smallest value to the largest; none where there are no values. The histograms are
/// in the order of a bin's fields.
fn bins(histograms: [&Histogram; 4]) -> Vec<Bin> {
    let all = histograms.map(Histogram::buckets);
    let buckets = all[0].len();
    let used = |index: &usize| all.iter().any(|it| it[*index] > 0);
    let (Some(first), Some(last)) = ((0..buckets).find(used), (0..buckets).rfind(used)) else {
        return Vec::new();
    };
    // A power of two: no bin lies in two octaves, so that all widths follow one rule.
    let mut width = 1;
    while last / width - first / width >= MOST_BINS {
        width *= 2;
    }
    let bin = |number: usize| {
        let (begin, end) = (number * width, (number + 1) * width);
        let count = |buckets: &[u32]| buckets[begin..end].iter().copied().map(u64::from).sum();
        let [from_send, from_schedule, enqueue, lag] = all.map(count);
        Bin {
            above_ms: begin.checked_sub(1).map_or(0.0, top_ms),
            to_ms: top_ms(end - 1),
            from_send,
            from_schedule,
            enqueue,
            lag,
        }
    };
    (first / width..=last / width).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_value_is_in_one_bin_and_there_are_few() {
        let (mut send, mut schedule) = <(Histogram, Histogram)>::default();
        let none = Histogram::default();
        assert_eq!(bins([&send, &schedule, &none, &none]), []);
        for us in [3, 900, 20_000, 20_100, 2_000_000, 3_599_000_000] {
            send.record(Duration::from_micros(us));
            schedule.record(Duration::from_micros(us * 2));
        }
        let bins = bins([&send, &schedule, &none, &none]);
        assert!(bins.len() <= MOST_BINS);
        assert_eq!(bins.iter().map(|it| it.from_send).sum::<u64>(), 6);
        assert_eq!(bins.iter().map(|it| it.from_schedule).sum::<u64>(), 6);
        for pair in bins.windows(2) {
            assert_eq!(pair[0].to_ms.to_bits(), pair[1].above_ms.to_bits());
        }
        let around = bins
            .iter()
            .find(|it| it.above_ms < 20.0 && it.to_ms >= 20.1);
        assert_eq!(around.map(|it| it.from_send), Some(2));
    }

    #[test]
    fn values_close_together_are_still_told_apart() {
        let mut send = Histogram::default();
        for us in [20_000, 21_000, 22_000] {
            send.record(Duration::from_micros(us));
        }
        let none = Histogram::default();
        for place in 0..4 {
            let mut histograms = [&none; 4];
            histograms[place] = &send;
            let bins = bins(histograms);
            let count = |it: &Bin| [it.from_send, it.from_schedule, it.enqueue, it.lag][place];
            assert_eq!(bins.iter().filter(|it| count(it) == 1).count(), 3);
        }
    }
}
