//! Turns that were reserved, and how long each is good.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::script::Reply;

/// A turn is good for so long after its time. The spacing of turns leaves 20 ms of a second free:
/// what is not used up here is left for the way to the receiver.
const GOOD_FOR: Duration = Duration::from_millis(10);

/// The right to send one request at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    at: Instant,
    /// How long it was waited for.
    pub waited: Duration,
}

impl Turn {
    /// The same, waited for so long.
    pub(super) fn after(self, waited: Duration) -> Self {
        Self { waited, ..self }
    }

    /// Waits for its time, finer than the timer's millisecond.
    pub(super) async fn due(&self) {
        tokio::time::sleep_until(self.at).await;
    }

    /// Whether a request sent now is in time.
    pub fn is_good(&self) -> bool {
        self.at.elapsed() <= GOOD_FOR
    }
}

/// Turns of this process that no request has taken.
#[derive(Debug, Default)]
pub(super) struct Turns {
    reserved: VecDeque<Turn>,
    interval: Duration,
}

impl Turns {
    /// The next one that is still good.
    pub(super) fn next(&mut self) -> Option<Turn> {
        while let Some(turn) = self.reserved.pop_front() {
            if turn.is_good() {
                return Some(turn);
            }
        }
        None
    }

    /// Adds what `reply` grants, reckoned from `from`, when Redis said so.
    pub(super) fn granted(&mut self, from: Instant, reply: &Reply) {
        self.interval = reply.interval;
        let wait = Duration::from_micros(reply.wait_us.unsigned_abs());
        let first = if reply.wait_us < 0 {
            from.checked_sub(wait).unwrap_or(from)
        } else {
            from + wait
        };
        let turns = (0..reply.granted).map(|n| Turn {
            at: first + reply.interval * n,
            waited: Duration::ZERO,
        });
        self.reserved.extend(turns);
    }

    /// How many turns cover `time`; one until the spacing is known.
    pub(super) fn at_once(&self, time: Duration) -> usize {
        let count = time
            .as_micros()
            .checked_div(self.interval.as_micros())
            .unwrap_or(0);
        usize::try_from(count).unwrap_or(1).max(1)
    }

    /// Forgets them: the rate they were spaced for is no longer allowed.
    pub(super) fn clear(&mut self) {
        self.reserved.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(granted: u32, wait_us: i64) -> Reply {
        Reply {
            granted,
            wait_us,
            interval: Duration::from_millis(4),
            next: 0,
            lowest: 80,
            permille: 1000,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_given_in_order_and_dropped_when_they_are_too_old() {
        let mut turns = Turns::default();
        turns.granted(Instant::now(), &reply(3, 2_000));
        let first = turns.next().unwrap();
        first.due().await;
        assert!(first.is_good());
        tokio::time::advance(Duration::from_millis(15)).await;
        assert!(!first.is_good());
        // The second is 11 ms old, the third 7 ms.
        let third = turns.next().unwrap();
        assert!(third.is_good() && third.at > first.at + Duration::from_millis(7));
        assert_eq!(turns.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_has_just_passed_counts_from_its_own_time() {
        let mut turns = Turns::default();
        tokio::time::advance(Duration::from_secs(1)).await;
        turns.granted(Instant::now(), &reply(1, -4_000));
        let turn = turns.next().unwrap();
        tokio::time::advance(Duration::from_millis(7)).await;
        assert!(!turn.is_good());
    }

    #[test]
    fn a_few_turns_are_reserved_at_once() {
        let mut turns = Turns::default();
        assert_eq!(turns.at_once(Duration::from_millis(25)), 1);
        turns.interval = Duration::from_millis(1);
        assert_eq!(turns.at_once(Duration::from_millis(25)), 25);
        turns.interval = Duration::from_secs(1);
        assert_eq!(turns.at_once(Duration::from_millis(25)), 1);
    }
}
