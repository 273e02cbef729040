//! What goes into one request, and when: a pure queue in front of the senders.
//!
//! Each user has a lane. A lane is open, or it is in flight and whatever comes for its user waits:
//! so no two requests in flight ever hold the same user, and a user's operations keep their order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// When a request is full, and how long one waits to become so.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Bytes of all items of one request, with what they add to its body.
    pub max_bytes: usize,
    /// Items of one request.
    pub max_items: usize,
    /// How long an item waits for others.
    pub linger: Duration,
}

/// Something to be sent.
#[derive(Debug)]
pub struct Entry<T> {
    /// Whom it is about.
    pub user: Arc<str>,
    /// What it adds to a request.
    pub bytes: usize,
    /// Whether it must have a request of its own.
    pub alone: bool,
    /// Where it stands among its user's entries: smaller goes first.
    pub order: (u64, u64),
    /// When it came in.
    pub since: Instant,
    /// What it is.
    pub payload: T,
}

#[derive(Debug)]
struct Lane<T> {
    entries: VecDeque<Entry<T>>,
    in_flight: bool,
}

/// Entries that wait to be sent.
#[derive(Debug)]
pub struct Batcher<T> {
    limits: BatchLimits,
    lanes: HashMap<Arc<str>, Lane<T>>,
    /// Users whose lane is open and not empty, each once, in the order they became so.
    open: VecDeque<Arc<str>>,
    /// Bytes in open lanes.
    open_bytes: usize,
}

impl<T> Batcher<T> {
    /// An empty one.
    pub fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            lanes: HashMap::new(),
            open: VecDeque::new(),
            open_bytes: 0,
        }
    }

    /// Adds an entry, among its user's by its order.
    pub fn push(&mut self, entry: Entry<T>) {
        let user = Arc::clone(&entry.user);
        let bytes = entry.bytes;
        let lane = self.lanes.entry(Arc::clone(&user)).or_insert_with(|| Lane {
            entries: VecDeque::new(),
            in_flight: false,
        });
        let at = lane
            .entries
            .iter()
            .rposition(|other| other.order <= entry.order);
        lane.entries.insert(at.map_or(0, |at| at + 1), entry);
        if lane.in_flight {
            return;
        }
        self.open_bytes += bytes;
        if lane.entries.len() == 1 {
            self.open.push_back(user);
        }
    }

    /// When the next request may be taken: a time that has passed means now, `None` that nothing
    /// can be sent before an entry is pushed or a user released.
    pub fn ready_at(&self) -> Option<Instant> {
        let first = self.lanes.get(self.open.front()?)?.entries.front()?;
        let full =
            self.open_bytes >= self.limits.max_bytes || self.open.len() >= self.limits.max_items;
        let wait = if full || first.alone {
            Duration::ZERO
        } else {
            self.limits.linger
        };
        Some(first.since + wait)
    }

    /// How many requests the open lanes would fill.
    pub fn demand(&self) -> usize {
        let by_bytes = self.open_bytes.div_ceil(self.limits.max_bytes.max(1));
        by_bytes.max(self.open.len() / self.limits.max_items.max(1))
    }

    /// Takes what goes into the next request, full or not; empty when nothing can be sent. Its
    /// users are in flight from now on.
    pub fn take(&mut self) -> Vec<Entry<T>> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(user) = self.open.front().map(Arc::clone) {
            let Some(lane) = self.lanes.get_mut(&user) else {
                self.open.pop_front();
                continue;
            };
            let before = taken.len();
            let full = fill(lane, &mut taken, &mut bytes, self.limits);
            if taken.len() > before {
                lane.in_flight = true;
                let left: usize = lane.entries.iter().map(|entry| entry.bytes).sum();
                let took: usize = taken[before..]
                    .iter()
                    .map(|entry: &Entry<T>| entry.bytes)
                    .sum();
                self.open_bytes -= left + took;
                self.open.pop_front();
            }
            // A lane that gave nothing stays where it is.
            if full || taken.len() == before {
                break;
            }
        }
        taken
    }

    /// The users of a finished request may be sent again.
    pub fn release<'a>(&mut self, users: impl Iterator<Item = &'a Arc<str>>) {
        for user in users {
            let Some(lane) = self.lanes.get_mut(user).filter(|lane| lane.in_flight) else {
                continue;
            };
            if lane.entries.is_empty() {
                self.lanes.remove(user);
            } else {
                lane.in_flight = false;
                self.open_bytes += lane.entries.iter().map(|entry| entry.bytes).sum::<usize>();
                self.open.push_back(Arc::clone(user));
            }
        }
    }

    /// Takes out everything that has not been taken.
    pub fn drain(&mut self) -> Vec<Entry<T>> {
        self.open.clear();
        self.open_bytes = 0;
        let lanes = self.lanes.values_mut();
        let entries = lanes.flat_map(|lane| lane.entries.drain(..)).collect();
        self.lanes.retain(|_, lane| lane.in_flight);
        entries
    }
}

/// Moves entries from the front of `lane` while they fit; says whether the request is full.
fn fill<T>(
    lane: &mut Lane<T>,
    taken: &mut Vec<Entry<T>>,
    bytes: &mut usize,
    limits: BatchLimits,
) -> bool {
    while let Some(entry) = lane.entries.pop_front() {
        let fits = *bytes + entry.bytes <= limits.max_bytes && !entry.alone;
        if !taken.is_empty() && !fits {
            lane.entries.push_front(entry);
            return true;
        }
        *bytes += entry.bytes;
        let full = entry.alone || taken.len() + 1 >= limits.max_items;
        taken.push(entry);
        if full {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
