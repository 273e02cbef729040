//! Who was asked and did not answer. The pods of a node that is gone stay in the list for minutes,
//! and the oldest of them would be asked again and again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long one that was silent is asked after the others: the HPA asks every 15 s.
const FOR: Duration = Duration::from_mins(1);
/// Addresses in memory.
const MOST: usize = 4096;

/// When those that have not answered since were asked.
#[derive(Debug, Default)]
pub(super) struct Silent(Mutex<HashMap<SocketAddr, Instant>>);

impl Silent {
    /// `sidecars` in their order, but those that were silent lately at the end.
    pub(super) fn come_last(&self, sidecars: &[SocketAddr], now: Instant) -> Vec<SocketAddr> {
        let mut sidecars = sidecars.to_vec();
        sidecars.sort_by_cached_key(|sidecar| self.is_silent(*sidecar, now));
        sidecars
    }

    pub(super) fn is_silent(&self, sidecar: SocketAddr, now: Instant) -> bool {
        let asked = self.lock().get(&sidecar).copied();
        asked.is_some_and(|asked| now.duration_since(asked) < FOR)
    }

    /// It is asked, and silent as long as it has not answered.
    pub(super) fn asked(&self, sidecar: SocketAddr, now: Instant) {
        let mut asked = self.lock();
        if asked.len() >= MOST {
            asked.retain(|_, asked| now.duration_since(*asked) < FOR);
        }
        if asked.len() < MOST {
            asked.insert(sidecar, now);
        }
    }

    pub(super) fn answered(&self, sidecar: SocketAddr) {
        self.lock().remove(&sidecar);
    }

    // A panic cannot leave the map half changed: every change is one insert, remove or retain.
    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], last))
    }

    #[test]
    fn who_is_silent_comes_last_until_it_answers_or_a_minute_is_over() {
        let silent = Silent::default();
        let all = [1, 2, 3].map(address);
        let start = Instant::now();
        let order = |second| silent.come_last(&all, start + Duration::from_secs(second));
        silent.asked(all[0], start);
        silent.asked(all[1], start + Duration::from_secs(10));
        assert_eq!(order(10), [3, 1, 2].map(address));
        assert_eq!(order(60), [1, 3, 2].map(address));
        silent.answered(all[1]);
        assert_eq!(order(60), all);
    }

    #[test]
    fn so_many_are_remembered_and_the_forgotten_make_room() {
        let silent = Silent::default();
        let start = Instant::now();
        for port in 0..=u16::try_from(MOST).unwrap() {
            silent.asked(address(port), start);
        }
        assert_eq!(silent.lock().len(), MOST);
        silent.asked(address(9999), start + FOR);
        assert_eq!(silent.lock().len(), 1);
    }
}
