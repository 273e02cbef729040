//! Latencies in buckets of a width relative to the value, as HDR histograms have them: fixed memory,
//! percentiles within 0.8 %.

use std::time::Duration;

/// Each doubling of the value is cut into this many buckets.
const PER_OCTAVE: u64 = 128;
/// Its logarithm.
const OCTAVE_BITS: u32 = 7;
/// The largest value kept apart, in µs: more than an hour.
const MOST: u64 = (1 << 32) - 1;
const BUCKETS: usize = 27 * 128;

/// Counts of durations, to the microsecond at the low end.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u32>,
    count: u64,
    sum_us: u64,
    min_us: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            sum_us: 0,
            min_us: u64::MAX,
            max_us: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).map_or(MOST, |us| us.min(MOST));
        if let Some(bucket) = self.buckets.get_mut(bucket_of(us)) {
            *bucket = bucket.saturating_add(1);
        }
        self.count += 1;
        self.sum_us += us;
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
    }

    /// Counts what `other` counted, too.
    pub fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket = bucket.saturating_add(*more);
        }
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// The counts of the buckets, the one of the smallest values first.
    pub(super) fn buckets(&self) -> &[u32] {
        &self.buckets
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The smallest in ms; 0 where there is none.
    pub fn min(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            ms(self.min_us)
        }
    }

    /// The largest in ms.
    pub fn max(&self) -> f64 {
        ms(self.max_us)
    }

    /// The mean in ms; 0 where there is none.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 durations")]
    pub fn mean(&self) -> f64 {
        ms(self.sum_us) / self.count.max(1) as f64
    }

    /// The value in ms below which `percent` of them are; 0 where there is none.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count is a count"
    )]
    pub fn percentile(&self, percent: f64) -> f64 {
        let wanted = ((self.count as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return ms(top_of(index).clamp(self.min_us, self.max_us));
            }
        }
        self.max()
    }
}

/// The value in ms below which `percent` are of what several have counted since an earlier copy of each;
/// nothing where that is nothing.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is a count"
)]
pub fn percentile_since(pairs: &[(&Histogram, &Histogram)], percent: f64) -> Option<f64> {
    let count: u64 = pairs.iter().map(|(now, then)| now.count - then.count).sum();
    let wanted = ((count as f64 * percent / 100.0).ceil() as u64).max(1);
    let new = |index: &usize| {
        let of = |it: &Histogram| it.buckets.get(*index).copied().map_or(0, u64::from);
        let each = pairs.iter().map(|(now, then)| of(now) - of(then));
        each.sum::<u64>()
    };
    let mut seen = 0;
    let reached = |index: &usize| {
        seen += new(index);
        seen >= wanted
    };
    (0..BUCKETS).find(reached).map(|index| ms(top_of(index)))
}

#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

fn bucket_of(us: u64) -> usize {
    let octave = us.checked_ilog2().unwrap_or(0).saturating_sub(OCTAVE_BITS);
    let index = u64::from(octave) * PER_OCTAVE + (us >> octave);
    usize::try_from(index)
        .unwrap_or(BUCKETS - 1)
        .min(BUCKETS - 1)
}

/// The largest value of a bucket in ms.
pub(super) fn top_ms(index: usize) -> f64 {
    ms(top_of(index))
}

/// The largest value of a bucket.
fn top_of(index: usize) -> u64 {
    let index = index as u64;
    let octave = (index / PER_OCTAVE).saturating_sub(1);
    ((index - octave * PER_OCTAVE + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_one_has_zeroes() {
        let empty = Histogram::default();
        assert_eq!((empty.count(), empty.min(), empty.max()), (0, 0.0, 0.0));
        assert_eq!((empty.mean(), empty.percentile(99.0)), (0.0, 0.0));
    }

    #[test]
    fn two_that_are_added_are_as_one_that_counted_both() {
        let (mut one, mut other, mut both) = <(Histogram, Histogram, Histogram)>::default();
        for us in 1..500_u64 {
            let each = if us.is_multiple_of(3) {
                &mut one
            } else {
                &mut other
            };
            each.record(Duration::from_micros(us * us));
            both.record(Duration::from_micros(us * us));
        }
        one.add(&other);
        assert_eq!(one.buckets(), both.buckets());
        assert_eq!(
            (one.count(), one.min(), one.max()),
            (499, both.min(), both.max())
        );
        assert_eq!(
            (one.mean(), one.percentile(95.0)),
            (both.mean(), both.percentile(95.0))
        );
    }

    #[test]
    fn what_came_since_is_read_alone() {
        let (mut then, mut other) = (Histogram::default(), Histogram::default());
        then.record(Duration::from_secs(5));
        let mut now = then.clone();
        assert_eq!(percentile_since(&[(&now, &then)], 95.0), None);
        now.record(Duration::from_millis(2));
        other.record(Duration::from_millis(100));
        let empty = Histogram::default();
        for (percent, ms) in [(50.0, 2.0), (95.0, 100.0)] {
            let read = percentile_since(&[(&now, &then), (&other, &empty)], percent).unwrap();
            assert!((read - ms).abs() <= ms * 0.01, "{percent}: {read}");
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_hundredth(mut us in prop::collection::vec(0..200_000_000_u64, 1..200), percent in 0..=100_u8) {
            let mut histogram = Histogram::default();
            for us in &us {
                histogram.record(Duration::from_micros(*us));
            }
            us.sort_unstable();
            let rank = (us.len() * usize::from(percent)).div_ceil(100).max(1);
            let exact = ms(us[rank - 1]);
            let read = histogram.percentile(f64::from(percent));
            prop_assert!((read - exact).abs() <= exact * 0.01 + 0.001, "{read} {exact}");
        }
    }
}
