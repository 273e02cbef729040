//! Who goes when there is room for no more connections: whoever has never asked anything, then whoever
//! has not for the longest. One that is being answered stays.

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
    has_asked: bool,
    /// None while it is being answered.
    idle_since: Option<Instant>,
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
            has_asked: false,
            idle_since: Some(Instant::now()),
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
        let idle = guests.present.iter().filter_map(|(number, guest)| {
            let since = guest.idle_since.filter(|_| !guest.leave.is_cancelled())?;
            Some(((guest.has_asked, since, number), &guest.leave))
        });
        if let Some((_, leave)) = idle.min_by_key(|(order, _)| *order) {
            leave.cancel();
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
        if let Some(guest) = self.room.guests().present.get_mut(&self.guest) {
            guest.has_asked = true;
            guest.idle_since = None;
        }
        Busy(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.guests().present.remove(&self.guest);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let Self(place) = self;
        if let Some(guest) = place.room.guests().present.get_mut(&place.guest) {
            guest.idle_since = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Enters and stays until the place is needed.
    async fn stay(room: &Arc<Room>) -> tokio::task::JoinHandle<()> {
        let place = room.enter().await.unwrap();
        tokio::spawn(async move { place.needed().await })
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_asked_goes_first_then_who_has_not_for_the_longest() {
        let room = Room::new(3);
        let asker = room.enter().await.unwrap();
        drop(asker.busy());
        advance(Duration::from_mins(1)).await;
        let (silent, later) = (stay(&room).await, stay(&room).await);
        let fourth = stay(&room).await;
        silent.await.unwrap();
        assert!(!later.is_finished() && !asker.leave.is_cancelled());
        let fifth = stay(&room).await;
        later.await.unwrap();
        assert!(!fourth.is_finished() && !fifth.is_finished());
        assert!(!asker.leave.is_cancelled(), "it has asked");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_stays_and_goes_when_it_was() {
        let room = Room::new(1);
        let only = room.enter().await.unwrap();
        let busy = only.busy();
        let mut next = std::pin::pin!(room.enter());
        let waits = tokio::time::timeout(LOOK * 3, &mut next).await;
        assert!(waits.is_err() && !only.leave.is_cancelled());
        drop(busy);
        let next = tokio::select! {
            next = &mut next => next,
            () = async { only.needed().await; drop(only); std::future::pending().await } => None,
        };
        assert!(next.is_some());
    }
}
