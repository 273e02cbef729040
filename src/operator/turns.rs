//! Who lets others pass while more pipelines want their turn than can have it.
//!
//! A thousand new pipelines wait for their first turn, and whatever becomes of those that had it,
//! pod by pod, asks for another one. Whoever had one a moment ago loses nothing by waiting: what
//! happens meanwhile is seen at once afterwards.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::controller::CONCURRENCY;

/// From so many turns at once on, others wait for theirs.
const BUSY: u16 = CONCURRENCY / 4 * 3;
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

/// The turns of one watched namespace, or of all where all are watched: of whatever has its own
/// [`CONCURRENCY`].
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By the pipelines' uid.
    last: Mutex<HashMap<String, Turn>>,
    under_way: AtomicU16,
}

/// A turn that was taken, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken<'a>(&'a AtomicU16);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Turns {
    /// Takes the turn of a pipeline.
    ///
    /// # Errors
    /// After how long to come again, where it lets others pass.
    pub(super) fn take(&self, uid: &str, generation: Option<i64>) -> Result<Taken<'_>, Duration> {
        let under_way = self.under_way.load(Ordering::Relaxed);
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
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(Taken(&self.under_way))
    }

    // A panic cannot leave the map half changed: every change is one insert or all of it.
    fn turns(&self) -> MutexGuard<'_, HashMap<String, Turn>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pure: how long a pipeline lets others pass. Another spec never waits.
fn waits(last: Option<Turn>, now: Turn, under_way: u16) -> Option<Duration> {
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
        let names: Vec<_> = (0..BUSY).map(|name| name.to_string()).collect();
        let taken = names.iter().map(|name| turns.take(name, Some(1)).unwrap());
        let mut taken: Vec<_> = taken.collect();
        tokio::time::advance(Duration::from_secs(6)).await;
        let wait = Duration::from_secs(4);
        assert_eq!(turns.take("0", Some(1)).unwrap_err(), wait);
        drop(turns.take("new", Some(1)).unwrap());
        tokio::time::advance(wait).await;
        drop(turns.take("0", Some(1)).unwrap());
        assert_eq!(turns.take("0", Some(1)).unwrap_err(), REST);
        taken.pop();
        drop(turns.take("0", Some(1)).unwrap());
    }

    #[test]
    fn one_namespaces_turns_are_no_others() {
        let (busy, calm) = (Turns::default(), Turns::default());
        let names: Vec<_> = (0..BUSY).map(|name| name.to_string()).collect();
        let taken: Vec<_> = names.iter().map(|name| busy.take(name, Some(1))).collect();
        assert!(taken.iter().all(Result::is_ok));
        drop(calm.take("a", Some(1)).unwrap());
        drop(calm.take("a", Some(1)).unwrap());
    }
}
