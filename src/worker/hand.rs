//! The jobs in this worker's hands: how many, how large, and the locks to be kept for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

use crate::delivery::circuit::Circumstance;
use crate::queue::jobs::exchange::Room;

/// The jobs in hand; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    most: Room,
    gauge: IntGauge,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    jobs: usize,
    last: u64,
    /// Whose locks we keep, by number: id and token.
    locked: HashMap<u64, (String, Arc<str>)>,
}

/// A job in hand, until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    hand: Hand,
    bytes: usize,
    number: u64,
}

impl Hand {
    /// An empty one, which takes up to `most`. `gauge` shows the bytes in it.
    pub(super) fn new(most: Room, gauge: IntGauge) -> Self {
        let shared = Shared {
            most,
            gauge,
            state: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// What may be taken as things are: one job while it is not known whether any can be
    /// delivered, and always one where there is none, however large it is.
    pub(super) fn room(&self, circumstance: Circumstance) -> Room {
        let state = self.state();
        let most = self.shared.most;
        let jobs = match circumstance {
            Circumstance::Deliverable => most.jobs,
            Circumstance::Probing => 1,
            Circumstance::Down(_) => 0,
        };
        let bytes = most.bytes.saturating_sub(state.bytes);
        let full = state.jobs > 0 && bytes == 0;
        Room {
            jobs: if full {
                0
            } else {
                jobs.saturating_sub(state.jobs)
            },
            bytes: bytes.max(1),
        }
    }

    /// Takes in a job of `bytes` bytes whose lock we keep, where there is one.
    pub(super) fn hold(&self, bytes: usize, lock: Option<(String, Arc<str>)>) -> Held {
        let mut state = self.state();
        state.bytes += bytes;
        state.jobs += 1;
        state.last += 1;
        let number = state.last;
        if let Some(lock) = lock {
            state.locked.insert(number, lock);
        }
        self.show(&state);
        Held {
            hand: self.clone(),
            bytes,
            number,
        }
    }

    /// Id and token of all whose locks we keep.
    pub(super) fn locks(&self) -> Vec<(String, Arc<str>)> {
        self.state().locked.values().cloned().collect()
    }

    fn show(&self, state: &State) {
        self.shared
            .gauge
            .set(state.bytes.try_into().unwrap_or(i64::MAX));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Numbered in the order in which jobs were taken.
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.hand.state();
        state.bytes -= self.bytes;
        state.jobs -= 1;
        state.locked.remove(&self.number);
        self.hand.show(&state);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn hand() -> Hand {
        let most = Room {
            jobs: 10,
            bytes: 100,
        };
        Hand::new(most, IntGauge::new("bytes", "bytes").unwrap())
    }

    fn jobs(hand: &Hand) -> usize {
        hand.room(Circumstance::Deliverable).jobs
    }

    #[test]
    fn what_is_held_takes_room_and_gives_it_back() {
        let hand = hand();
        let first = hand.hold(60, Some(("1".to_owned(), "t".into())));
        assert_eq!(
            hand.room(Circumstance::Deliverable),
            Room { jobs: 9, bytes: 40 }
        );
        let second = hand.hold(60, None);
        assert_eq!((jobs(&hand), hand.shared.gauge.get()), (0, 120));
        assert_eq!(hand.locks(), [("1".to_owned(), "t".into())]);
        drop(first);
        drop(second);
        assert_eq!((jobs(&hand), hand.shared.gauge.get()), (10, 0));
        assert!(hand.locks().is_empty());
    }

    #[test]
    fn one_job_shows_whether_others_can_be_delivered() {
        let hand = hand();
        assert_eq!(hand.room(Circumstance::Down(Duration::ZERO)).jobs, 0);
        assert_eq!(hand.room(Circumstance::Probing).jobs, 1);
        let _one = hand.hold(1, None);
        assert_eq!(hand.room(Circumstance::Probing).jobs, 0);
    }
}
