//! Who goes when there is room for no more connections: strangers before callers that are known, and
//! among equals the one that has been there, or was last answered as a known caller, the longest time
//! ago. What a stranger asks keeps it no longer: anybody can ask. One that is being answered stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// While everybody is being answered: how often it is looked for somebody who is no more.
const LOOK: Duration = Duration::from_millis(50);

/// A bounded number of places.
#[derive(Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    present: HashMap<u64, Guest>,
}

/// A connection, as far as it matters who goes first.
#[derive(Debug)]
struct Guest {
    is_known: bool,
    is_busy: bool,
    /// When it came, or was last answered as a known caller.
    since: Instant,
    leave: CancellationToken,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    guest: u64,
    leave: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Busy<'a>(&'a Place);

impl Room {
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(places)),
            guests: Mutex::default(),
        })
    }

    /// A place, for which another one may have to go; none when the program is ending.
    pub(super) async fn enter(self: &Arc<Self>) -> Option<Place> {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            self.ask_one_to_leave();
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(LOOK, free).await {
                break permit.ok()?;
            }
        };
        let leave = CancellationToken::new();
        let mut guests = self.guests();
        let guest = guests.next;
        guests.next += 1;
        let entered = Guest {
            is_known: false,
            is_busy: false,
            since: Instant::now(),
            leave: leave.clone(),
        };
        guests.present.insert(guest, entered);
        drop(guests);
        Some(Place {
            room: Arc::clone(self),
            guest,
            leave,
            _permit: permit,
        })
    }

    fn ask_one_to_leave(&self) {
        let guests = self.guests();
        let idle = guests
            .present
            .iter()
            .filter(|(_, guest)| !guest.is_busy && !guest.leave.is_cancelled());
        let first = idle.min_by_key(|(number, guest)| (guest.is_known, guest.since, *number));
        if let Some((_, guest)) = first {
            guest.leave.cancel();
        }
    }

    // A panic cannot leave it half changed: every change is one insert, remove or assignment.
    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Ends when another one needs the place.
    pub(super) async fn needed(&self) {
        self.leave.cancelled().await;
    }

    /// A request has come.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.change(|guest| guest.is_busy = true);
        Busy(self)
    }

    /// Whether nobody is kept waiting when it is given up: no request is under way, and it is a
    /// stranger's.
    pub(super) fn is_idle_strangers(&self) -> bool {
        let guests = self.room.guests();
        let guest = guests.present.get(&self.guest);
        guest.is_some_and(|guest| !guest.is_known && !guest.is_busy)
    }

    fn change(&self, change: impl FnOnce(&mut Guest)) {
        if let Some(guest) = self.room.guests().present.get_mut(&self.guest) {
            change(guest);
        }
    }
}

impl Busy<'_> {
    /// It was answered as only a known caller is.
    pub(super) fn known(&self) {
        self.0.change(|guest| {
            guest.is_known = true;
            guest.since = Instant::now();
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.guests().present.remove(&self.guest);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.change(|guest| guest.is_busy = false);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn strangers_go_first_whatever_they_asked_and_then_who_was_not_known_for_the_longest() {
        let room = Room::new(4);
        let callers = [room.enter().await.unwrap(), room.enter().await.unwrap()];
        for caller in [&callers[1], &callers[0]] {
            advance(Duration::from_mins(1)).await;
            caller.busy().known();
        }
        let asked = room.enter().await.unwrap();
        advance(Duration::from_mins(1)).await;
        let silent = room.enter().await.unwrap();
        drop(asked.busy());
        assert!(asked.is_idle_strangers() && !callers[0].is_idle_strangers());
        let places = [&asked, &silent, &callers[1], &callers[0]];
        for gone in 1..=places.len() {
            room.ask_one_to_leave();
            let left = places.map(|place| place.leave.is_cancelled());
            assert_eq!(left, std::array::from_fn(|place| place < gone));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_stays_and_goes_when_it_was() {
        let room = Room::new(1);
        let only = room.enter().await.unwrap();
        let busy = only.busy();
        let mut next = std::pin::pin!(room.enter());
        let waits = tokio::time::timeout(LOOK * 3, &mut next).await;
        assert!(waits.is_err() && !only.leave.is_cancelled() && !only.is_idle_strangers());
        drop(busy);
        let next = tokio::select! {
            next = &mut next => next,
            () = async { only.needed().await; drop(only); std::future::pending().await } => None,
        };
        assert!(next.is_some());
    }
}
