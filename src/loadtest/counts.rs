//! What a histogram counted between two looks at it, without its empty buckets: a second of a run is a
//! few hundred bytes.

use super::histogram::{Histogram, top_ms};

/// Counts of durations by bucket, sorted by it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    buckets: Vec<(u16, u32)>,
    /// No value was larger, in ms.
    most: f64,
}

impl Counts {
    /// What `later` has that `earlier`, an older copy of it, has not.
    pub(super) fn since(later: &Histogram, earlier: &Histogram) -> Self {
        let pairs = later.buckets().iter().zip(earlier.buckets());
        let more = (0_u16..).zip(pairs.map(|(after, before)| after.saturating_sub(*before)));
        Self {
            buckets: more.filter(|(_, count)| *count > 0).collect(),
            most: later.max(),
        }
    }

    /// Counts what `other` counted, too.
    pub(super) fn add(&mut self, other: &Self) {
        let mut sum = Vec::with_capacity(self.buckets.len() + other.buckets.len());
        let (mut ours, mut theirs) = (self.buckets.iter().peekable(), other.buckets.iter());
        let mut next = theirs.next();
        while let Some(&(bucket, count)) = next {
            while let Some(smaller) = ours.next_if(|it| it.0 < bucket) {
                sum.push(*smaller);
            }
            let same = ours.next_if(|it| it.0 == bucket).map_or(0, |it| it.1);
            sum.push((bucket, count.saturating_add(same)));
            next = theirs.next();
        }
        sum.extend(ours);
        self.buckets = sum;
        self.most = self.most.max(other.most);
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().map(|it| u64::from(it.1)).sum()
    }

    /// The value in ms below which `percent` of them are; nothing where there is none.
    pub(super) fn percentile(&self, percent: u64) -> Option<f64> {
        let wanted = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let holds = |(_, count): &&(u16, u32)| {
            seen += u64::from(*count);
            seen >= wanted
        };
        let (bucket, _) = self.buckets.iter().find(holds)?;
        Some(top_ms(usize::from(*bucket)).min(self.most))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn histogram(ms: impl IntoIterator<Item = u64>) -> Histogram {
        let mut it = Histogram::default();
        for ms in ms {
            it.record(Duration::from_millis(ms));
        }
        it
    }

    #[test]
    fn the_difference_of_two_looks_is_what_came_between() {
        let (mut later, earlier) = (histogram([5; 100]), histogram([5; 100]));
        assert_eq!(Counts::since(&later, &earlier).percentile(50), None);
        later.add(&histogram(1..=100));
        let between = Counts::since(&later, &earlier);
        assert_eq!(between.count(), 100);
        for (percent, ms) in [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0)] {
            let read = between.percentile(percent).unwrap();
            assert!((read - ms).abs() <= ms * 0.01, "{percent}: {read}");
        }
    }

    #[test]
    fn a_sum_is_what_one_look_over_both_would_have_been() {
        let none = Histogram::default();
        let (one, other) = (histogram([1, 7, 7, 900]), histogram([7, 8, 4_000]));
        let mut sum = Counts::since(&one, &none);
        sum.add(&Counts::since(&other, &none));
        let mut both = one;
        both.add(&other);
        assert_eq!(sum, Counts::since(&both, &none));
    }
}
