//! How often something may be done, over all pipelines: a token bucket. Pure but for its lock.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// How often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// In the long run.
    pub(super) per_second: f64,
    /// In one go, after a rest.
    pub(super) at_once: f64,
}

/// What is left.
#[derive(Debug)]
pub(super) struct Budget {
    rate: Rate,
    /// How many are left, and when that was reckoned.
    left: Mutex<(f64, Instant)>,
}

impl Budget {
    /// A full one.
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            left: Mutex::new((rate.at_once, now)),
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(left.1).as_secs_f64();
        let filled = (left.0 + since * self.rate.per_second).min(self.rate.at_once);
        let granted = filled >= 1.0;
        *left = (if granted { filled - 1.0 } else { filled }, now);
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_at_once_and_then_so_many_a_second() {
        let start = Instant::now();
        let rate = Rate {
            per_second: 4.0,
            at_once: 3.0,
        };
        let budget = Budget::new(rate, start);
        let taken = |at: Instant| (0..10).filter(|_| budget.take(at)).count();
        assert_eq!(taken(start), 3);
        assert_eq!(taken(start + Duration::from_millis(500)), 2);
        assert_eq!(taken(start + Duration::from_mins(1)), 3);
    }
}
