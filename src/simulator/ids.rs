//! The event ids seen lately, in bounded memory.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest, Sha256};
use ulid::Ulid;

/// Remembers the last so many ids; the oldest is forgotten first.
#[derive(Debug)]
pub(super) struct RecentIds {
    known: HashSet<u128>,
    order: VecDeque<u128>,
    keep: usize,
}

impl RecentIds {
    pub(super) fn new(keep: usize) -> Self {
        Self {
            known: HashSet::new(),
            order: VecDeque::new(),
            keep: keep.max(1),
        }
    }

    /// Whether `id` is new; from now on it is not.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        let id = short(id);
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.keep
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// 16 bytes that stand for an id: a ULID is that already, anything else is hashed.
fn short(id: &str) -> u128 {
    Ulid::from_string(id).map_or_else(
        |_| {
            let digest = Sha256::digest(id.as_bytes());
            digest
                .iter()
                .take(16)
                .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
        },
        u128::from,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_until_it_is_forgotten() {
        let mut ids = RecentIds::new(2);
        assert!(ids.insert("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert!(
            !ids.insert("01arz3ndektsv4rrffq69g5fav"),
            "a ULID in small letters is the same"
        );
        assert!(ids.insert("not a ulid"));
        assert!(!ids.insert("not a ulid"));
        assert!(ids.insert("third"));
        assert!(
            ids.insert("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
            "the oldest was forgotten"
        );
    }
}
