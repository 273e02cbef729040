//! Exponential backoff with jitter, the one way this program waits before it tries again.

use std::time::Duration;

use rand::RngExt;

/// How long to wait before attempt after attempt: doubling from `first` up to `most`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The wait after the first failure, before jitter.
    pub first: Duration,
    /// No wait is longer than this.
    pub most: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 for the first): between half of the doubled
    /// wait and all of it, so that many waiters do not come back in step.
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let full = self.first.saturating_mul(1 << doublings).min(self.most);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_ceiling_and_stays_within_half_to_full() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            most: Duration::from_secs(1),
        };
        for (failures, full_ms) in [(1, 100), (2, 200), (4, 800), (5, 1000), (400, 1000)] {
            for _ in 0..50 {
                let ms = backoff.delay(failures).as_millis();
                assert!((full_ms / 2..=full_ms).contains(&ms), "{failures}: {ms} ms");
            }
        }
    }
}
