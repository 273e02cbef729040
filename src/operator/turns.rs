//! Who lets others pass while more pipelines want their turn than can have it.
//!
//! A thousand new pipelines wait for their first turn, and whatever becomes of those that had it,
//! pod by pod, asks for another one. Whoever had one a moment ago loses nothing by waiting: what
//! happens meanwhile is seen at once afterwards.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::controller::CONCURRENCY;

/// From so many turns at once on, others wait for theirs.
const BUSY: i64 = CONCURRENCY as i64 * 3 / 4;
/// Nobody waits for longer than this after the last turn.
const REST: Duration = Duration::from_secs(10);
/// More pipelines than this are not remembered: they wait for nobody.
const MOST: usize = 16_384;

/// A pipeline's last turn, and the generation of its spec then.
#[derive(Debug, Clone, Copy)]
struct Turn {
    began: Instant,
    generation: Option<i64>,
}

/// By the pipelines' uid.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Turn>>);

impl Turns {
    /// Takes the turn of a pipeline while `under_way` others have theirs.
    ///
    /// # Errors
    /// After how long to come again, where it lets others pass.
    pub(super) fn take(
        &self,
        uid: &str,
        generation: Option<i64>,
        under_way: i64,
    ) -> Result<(), Duration> {
        let mut turns = self.turns();
        let now = Turn {
            began: Instant::now(),
            generation,
        };
        if let Some(wait) = waits(turns.get(uid).copied(), now, under_way) {
            return Err(wait);
        }
        if turns.len() >= MOST {
            // Pipelines that were deleted are never heard of again.
            turns.clear();
        }
        turns.insert(uid.to_owned(), now);
        Ok(())
    }

    // A panic cannot leave the map half changed: every change is one insert or all of it.
    fn turns(&self) -> MutexGuard<'_, HashMap<String, Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pure: how long a pipeline lets others pass. Another spec never waits.
fn waits(last: Option<Turn>, now: Turn, under_way: i64) -> Option<Duration> {
    let last = last.filter(|last| last.generation == now.generation)?;
    let rest = REST.checked_sub(now.began.duration_since(last.began))?;
    (under_way >= BUSY && !rest.is_zero()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_had_a_turn_lets_others_pass_while_many_wait_but_not_for_long() {
        let start = Instant::now();
        let turn = |seconds, generation| Turn {
            began: start + Duration::from_secs(seconds),
            generation: Some(generation),
        };
        let last = Some(turn(0, 1));
        for (what, last, now, under_way, expected) in [
            ("new", None, turn(3, 1), 32, None),
            ("room for all", last, turn(3, 1), 5, None),
            ("many", last, turn(3, 1), 24, Some(7)),
            ("another spec", last, turn(3, 2), 32, None),
            ("long ago", last, turn(10, 1), 32, None),
            ("longer ago", last, turn(60, 1), 32, None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(waits(last, now, under_way), expected, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_was_not_taken_does_not_put_off_the_next() {
        let turns = Turns::default();
        assert_eq!(turns.take("a", Some(1), 32), Ok(()));
        tokio::time::advance(Duration::from_secs(6)).await;
        let wait = Duration::from_secs(4);
        assert_eq!(turns.take("a", Some(1), 32), Err(wait));
        assert_eq!(turns.take("b", Some(1), 32), Ok(()));
        tokio::time::advance(wait).await;
        assert_eq!(turns.take("a", Some(1), 32), Ok(()));
    }
}
