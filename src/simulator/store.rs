//! What the workspace knows: people, events, and how often the same event came.

use std::collections::VecDeque;

use serde::Serialize;

use super::identity::Identity;
use super::ids::RecentIds;
use super::operation::{Event, Operation};
use super::people::{People, Shown};

/// Events whose details are kept for `/_sim/events`.
pub(super) const KEEP_DETAILS: usize = 10_000;

/// What became of a valid operation. The answer is 200 for each: the real one says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    Duplicate,
    /// As the real one drops it, in silence.
    Dropped,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Duplicate => "duplicate",
            Self::Dropped => "dropped",
        }
    }
}

/// The counts, for `/_sim/state`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct StoreState {
    pub(super) people: usize,
    /// Events taken, each once.
    pub(super) events: u64,
    /// Events that came again, and were ignored.
    pub(super) duplicates: u64,
    /// Valid identify calls and items, whatever became of them; likewise deletes.
    pub(super) identifies: u64,
    pub(super) deletes: u64,
    /// Valid, answered 200 and ignored.
    pub(super) dropped: u64,
    /// Calls and batch items that were refused.
    pub(super) invalid: u64,
}

/// An event as shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownEvent {
    /// Its place in the order of arrival, from 1.
    pub(super) sequence: u64,
    id: Option<String>,
    person: String,
    name: String,
    timestamp: Option<i64>,
}

/// Everything that was stored.
#[derive(Debug)]
pub(super) struct Store {
    people: People,
    ids: RecentIds,
    details: VecDeque<Event>,
    counts: StoreState,
}

impl Store {
    pub(super) fn new(keep_events: usize) -> Self {
        Self {
            people: People::default(),
            ids: RecentIds::new(keep_events),
            details: VecDeque::new(),
            counts: StoreState::default(),
        }
    }

    /// Stores one operation, at `now` in unix seconds.
    pub(super) fn apply(&mut self, operation: Operation, now: i64) -> Outcome {
        let outcome = match operation {
            Operation::Identify {
                person,
                attributes,
                at,
            } => {
                self.counts.identifies += 1;
                let at = at.unwrap_or(now);
                taken(self.people.identify(&person, attributes, at))
            }
            Operation::Delete(person) => {
                self.counts.deletes += 1;
                taken(self.people.delete(&person))
            }
            Operation::Event(event) => self.track(event),
        };
        self.counts.dropped += u64::from(outcome == Outcome::Dropped);
        outcome
    }

    fn track(&mut self, event: Event) -> Outcome {
        if matches!(event.person, Identity::CioId(_)) && !self.people.knows(&event.person) {
            return Outcome::Dropped;
        }
        if event.id.as_deref().is_some_and(|id| !self.ids.insert(id)) {
            self.counts.duplicates += 1;
            return Outcome::Duplicate;
        }
        self.counts.events += 1;
        self.details.push_back(event);
        if self.details.len() > KEEP_DETAILS {
            self.details.pop_front();
        }
        Outcome::Taken
    }

    /// So many calls or batch items were refused.
    pub(super) fn refuse(&mut self, count: usize) {
        self.counts.invalid += count as u64;
    }

    pub(super) fn people(&self) -> usize {
        self.people.len()
    }

    pub(super) fn person(&self, name: &Identity) -> Option<Shown> {
        self.people.get(name)
    }

    /// At most `limit` events in the order of arrival: the first ones after place `after`, or the
    /// last ones there are.
    pub(super) fn events(&self, after: Option<u64>, limit: usize) -> Vec<ShownEvent> {
        let forgotten = self.counts.events - self.details.len() as u64;
        let skip = after.map_or_else(
            || self.details.len().saturating_sub(limit),
            |after| usize::try_from(after.saturating_sub(forgotten)).unwrap_or(usize::MAX),
        );
        let kept = (forgotten + 1..).zip(&self.details);
        kept.skip(skip)
            .take(limit)
            .map(|(sequence, event)| ShownEvent {
                sequence,
                id: event.id.clone(),
                person: event.person.shown(),
                name: event.name.clone(),
                timestamp: event.timestamp,
            })
            .collect()
    }

    pub(super) fn state(&self) -> StoreState {
        StoreState {
            people: self.people.len(),
            ..self.counts.clone()
        }
    }
}

fn taken(done: bool) -> Outcome {
    if done {
        Outcome::Taken
    } else {
        Outcome::Dropped
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn event(id: Option<&str>, person: Identity) -> Operation {
        Operation::Event(Event {
            id: id.map(str::to_owned),
            person,
            name: "n".to_owned(),
            timestamp: None,
        })
    }

    fn user() -> Identity {
        Identity::Id("u".to_owned())
    }

    fn identify(at: Option<i64>, plan: &str) -> Operation {
        let attributes = json!({ "plan": plan });
        Operation::Identify {
            person: user(),
            attributes: attributes.as_object().cloned().unwrap_or_else(Map::new),
            at,
        }
    }

    #[test]
    fn each_operation_is_counted_with_what_became_of_it() {
        let mut store = Store::new(10);
        let ulid = Some("01ARZ3NDEKTSV4RRFFQ69G5FAV");
        let nobody = Identity::CioId("ff".to_owned());
        let steps = [
            (event(ulid, user()), Outcome::Taken),
            (event(ulid, user()), Outcome::Duplicate),
            (event(None, user()), Outcome::Taken),
            (event(None, user()), Outcome::Taken),
            (event(None, nobody), Outcome::Dropped),
            (Operation::Delete(user()), Outcome::Dropped),
            (identify(None, "a"), Outcome::Taken),
        ];
        for (operation, expected) in steps {
            assert_eq!(store.apply(operation, 1), expected);
        }
        store.refuse(2);
        let expected = StoreState {
            people: 1,
            events: 3,
            duplicates: 1,
            identifies: 1,
            deletes: 1,
            dropped: 2,
            invalid: 2,
        };
        assert_eq!(store.state(), expected);
    }

    #[test]
    fn attributes_without_a_time_speak_of_now() {
        let mut store = Store::new(10);
        store.apply(identify(None, "now"), 100);
        store.apply(identify(Some(99), "late"), 101);
        assert_eq!(store.person(&user()).unwrap().attributes["plan"], "now");
        store.apply(identify(None, "later"), 102);
        assert_eq!(store.person(&user()).unwrap().attributes["plan"], "later");
    }

    #[test]
    fn events_are_shown_by_their_place_in_the_order_of_arrival() {
        let mut store = Store::new(1);
        let forgotten = 5;
        for _ in 0..KEEP_DETAILS + forgotten {
            store.apply(event(None, user()), 1);
        }
        let last = (KEEP_DETAILS + forgotten) as u64;
        let cases = [
            (None, 2, vec![last - 1, last]),
            (Some(0), 2, vec![6, 7]),
            (Some(6), 2, vec![7, 8]),
            (Some(last - 1), 2, vec![last]),
            (Some(last), 2, vec![]),
            (Some(u64::MAX), 2, vec![]),
            (Some(0), 0, vec![]),
        ];
        for (after, limit, expected) in cases {
            let shown = store.events(after, limit);
            let places: Vec<u64> = shown.iter().map(|event| event.sequence).collect();
            assert_eq!(places, expected, "after {after:?}");
        }
    }
}
