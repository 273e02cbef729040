//! Whether a loop that must never stop still comes round.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A loop's sign of life; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pulse {
    last: Arc<Mutex<Instant>>,
    limit: Duration,
}

impl Pulse {
    /// Of a loop that starts now; it is stuck once it did not come round for `limit`.
    pub fn new(limit: Duration) -> Self {
        Self {
            last: Arc::new(Mutex::new(Instant::now())),
            limit,
        }
    }

    /// The loop came round.
    pub fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether it came round lately.
    pub fn beats(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_come_round_is_stuck_until_it_does() {
        let pulse = Pulse::new(Duration::from_secs(30));
        assert!(pulse.beats());
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(!pulse.beats());
        pulse.beat();
        assert!(pulse.beats());
    }
}
