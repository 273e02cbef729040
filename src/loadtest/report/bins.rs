//! Two histograms as one row of bins, few enough to draw.

use serde::{Deserialize, Serialize};

use crate::loadtest::histogram::{Histogram, top_ms};

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
}

/// The bins from the smallest value to the largest; none where there are no values.
pub(super) fn bins(from_send: &Histogram, from_schedule: &Histogram) -> Vec<Bin> {
    let (send, schedule) = (from_send.buckets(), from_schedule.buckets());
    let used = |index: &usize| send[*index] + schedule[*index] > 0;
    let (Some(first), Some(last)) = ((0..send.len()).find(used), (0..send.len()).rfind(used))
    else {
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
        Bin {
            above_ms: begin.checked_sub(1).map_or(0.0, top_ms),
            to_ms: top_ms(end - 1),
            from_send: count(send),
            from_schedule: count(schedule),
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
        assert_eq!(bins(&send, &schedule), []);
        for us in [3, 900, 20_000, 20_100, 2_000_000, 3_599_000_000] {
            send.record(Duration::from_micros(us));
            schedule.record(Duration::from_micros(us * 2));
        }
        let bins = bins(&send, &schedule);
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
        let bins = bins(&send, &Histogram::default());
        assert_eq!(bins.iter().filter(|it| it.from_send == 1).count(), 3);
    }
}
