//! What the workspace knows: people, events, and how often the same event came.

use std::collections::VecDeque;

use serde::Serialize;

use super::identity::Identity;
use super::ids::RecentIds;
use super::operation::{Event, Operation};
use super::people::{Belongings, People, Shown};
use super::suppressed::Suppressed;

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
    /// Devices added, changed and deleted; likewise the calls below, whatever became of them.
    pub(super) device_changes: u64,
    pub(super) merges: u64,
    pub(super) segment_changes: u64,
    pub(super) forms: u64,
    /// Push events and metrics.
    pub(super) reports: u64,
    pub(super) unsubscribes: u64,
    /// Objects and relationships: accepted and not kept.
    pub(super) relationships: u64,
    /// People that are suppressed now.
    pub(super) suppressed: usize,
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
    /// `event`, `page` or `screen`.
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Option<i64>,
}

/// Everything that was stored.
#[derive(Debug)]
pub(super) struct Store {
    people: People,
    suppressed: Suppressed,
    ids: RecentIds,
    details: VecDeque<Event>,
    counts: StoreState,
}

impl Store {
    pub(super) fn new(keep_events: usize) -> Self {
        Self {
            people: People::default(),
            suppressed: Suppressed::default(),
            ids: RecentIds::new(keep_events),
            details: VecDeque::new(),
            counts: StoreState::default(),
        }
    }

    /// Stores one operation, at `now` in unix seconds.
    pub(super) fn apply(&mut self, operation: Operation, now: i64) -> Outcome {
        self.count(&operation);
        let concerns = operation.concerns();
        let outcome = if concerns.iter().any(|name| self.suppressed.covers(name)) {
            Outcome::Dropped
        } else {
            self.perform(operation, now)
        };
        self.counts.dropped += u64::from(outcome == Outcome::Dropped);
        outcome
    }

    fn count(&mut self, operation: &Operation) {
        let counts = &mut self.counts;
        let count = match operation {
            Operation::Identify { .. } => &mut counts.identifies,
            Operation::Delete(_) => &mut counts.deletes,
            Operation::AddDevice { .. } | Operation::DeleteDevice { .. } => {
                &mut counts.device_changes
            }
            Operation::Merge { .. } => &mut counts.merges,
            Operation::Segment { .. } => &mut counts.segment_changes,
            Operation::Form { .. } => &mut counts.forms,
            Operation::Report => &mut counts.reports,
            Operation::Unsubscribe => &mut counts.unsubscribes,
            Operation::Relate => &mut counts.relationships,
            // Events are counted by what becomes of them; who is suppressed, at the end.
            Operation::Event(_) | Operation::Suppress(_) | Operation::Unsuppress(_) => return,
        };
        *count += 1;
    }

    fn perform(&mut self, operation: Operation, now: i64) -> Outcome {
        let people = &mut self.people;
        let done = match operation {
            Operation::Event(event) => return self.track(event),
            Operation::Identify {
                person,
                attributes,
                at,
            } => people.identify(&person, attributes, at.unwrap_or(now)),
            Operation::Form { person, attributes } => people.identify(&person, attributes, now),
            Operation::Delete(person) => people.remove(&person).is_some(),
            Operation::AddDevice {
                person,
                token,
                device,
            } => people.add_device(&person, token, device),
            Operation::DeleteDevice { person, token } => people.delete_device(&person, &token),
            Operation::Merge { primary, secondary } => people.merge(&primary, &secondary),
            Operation::Segment {
                segment,
                people: named,
                join,
            } => {
                let change = |name| u32::from(people.change_segment(name, segment, join));
                named.iter().map(change).sum::<u32>() > 0
            }
            Operation::Suppress(person) => self.suppress(person),
            Operation::Unsuppress(person) => self.suppressed.lift(&person),
            Operation::Report | Operation::Unsubscribe | Operation::Relate => true,
        };
        taken(done)
    }

    /// Deletes a person, and keeps each of their names from coming back.
    fn suppress(&mut self, person: Identity) -> bool {
        let removed = self.people.remove(&person);
        let mut names = removed.map(|removed| removed.names).unwrap_or_default();
        if !names.contains(&person) {
            names.push(person);
        }
        self.suppressed.add(names)
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

    /// A request was answered as if it had been taken.
    pub(super) fn lose(&mut self) {
        self.counts.dropped += 1;
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

    pub(super) fn belongings(&self, name: &Identity) -> Option<Belongings> {
        self.people.belongings(name).cloned()
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
                kind: event.kind,
                timestamp: event.timestamp,
            })
            .collect()
    }

    pub(super) fn state(&self) -> StoreState {
        StoreState {
            people: self.people.len(),
            suppressed: self.suppressed.len(),
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
            kind: "event",
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
            ..StoreState::default()
        };
        assert_eq!(store.state(), expected);
    }

    #[test]
    fn what_concerns_somebody_suppressed_is_dropped_by_each_of_their_names() {
        let mut store = Store::new(10);
        let email = Identity::email("u@x.io");
        let attributes = json!({"email": "u@x.io"}).as_object().cloned().unwrap();
        let identify = |person: &Identity| Operation::Identify {
            person: person.clone(),
            attributes: attributes.clone(),
            at: None,
        };
        let steps = [
            (identify(&user()), Outcome::Taken),
            (Operation::Suppress(user()), Outcome::Taken),
            (Operation::Suppress(user()), Outcome::Dropped),
            (identify(&user()), Outcome::Dropped),
            (event(None, email.clone()), Outcome::Dropped),
            (
                Operation::Form {
                    person: email.clone(),
                    attributes: attributes.clone(),
                },
                Outcome::Dropped,
            ),
            (Operation::Unsuppress(email), Outcome::Taken),
            (Operation::Unsuppress(user()), Outcome::Dropped),
            (identify(&user()), Outcome::Taken),
        ];
        for (step, (operation, expected)) in steps.into_iter().enumerate() {
            assert_eq!(store.apply(operation, 1), expected, "step {step}");
        }
        let state = store.state();
        assert_eq!((state.people, state.suppressed, state.dropped), (1, 0, 5));
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
