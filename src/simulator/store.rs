//! What the workspace knows: people, events, and how often the same event came.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::ids::RecentIds;

/// Events whose details are kept for `/_sim/events`.
const KEEP_DETAILS: usize = 10_000;

/// A person: attributes, and for each the time it speaks of.
#[derive(Debug, Default)]
struct Person {
    attributes: Map<String, Value>,
    times: HashMap<String, i64>,
}

/// An event that was taken.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) person: String,
    pub(super) name: String,
    pub(super) timestamp: Option<i64>,
}

/// Everything that was stored.
#[derive(Debug)]
pub(super) struct Store {
    people: HashMap<String, Person>,
    ids: RecentIds,
    details: VecDeque<Event>,
    events: u64,
    duplicates: u64,
    identifies: u64,
    deletes: u64,
    invalid: u64,
}

impl Store {
    pub(super) fn new(keep_events: usize) -> Self {
        Self {
            people: HashMap::new(),
            ids: RecentIds::new(keep_events),
            details: VecDeque::new(),
            events: 0,
            duplicates: 0,
            identifies: 0,
            deletes: 0,
            invalid: 0,
        }
    }

    /// An upsert. `at` is the time the attributes speak of: older ones do not overwrite newer.
    /// With `_update: true` an unknown person is not created, and the answer is still 200.
    pub(super) fn identify(&mut self, id: &str, attributes: &Map<String, Value>, at: i64) {
        self.identifies += 1;
        let update_only = attributes.get("_update") == Some(&Value::Bool(true));
        if update_only && !self.people.contains_key(id) {
            return;
        }
        let person = self.people.entry(id.to_owned()).or_default();
        for (name, value) in attributes {
            if name.starts_with('_') && name != "_load_test" {
                continue;
            }
            let known = person.times.get(name).copied().unwrap_or(i64::MIN);
            if at >= known {
                person.attributes.insert(name.clone(), value.clone());
                person.times.insert(name.clone(), at);
            }
        }
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.deletes += 1;
        self.people.remove(id);
    }

    /// Takes an event, unless its id came before: then it is a duplicate, and ignored.
    pub(super) fn track(&mut self, event: Event) {
        if event.id.as_deref().is_some_and(|id| !self.ids.insert(id)) {
            self.duplicates += 1;
            return;
        }
        self.events += 1;
        self.details.push_back(event);
        if self.details.len() > KEEP_DETAILS {
            self.details.pop_front();
        }
    }

    /// Something was refused.
    pub(super) fn refuse(&mut self) {
        self.invalid += 1;
    }

    pub(super) fn person(&self, id: &str) -> Option<Value> {
        self.people
            .get(id)
            .map(|person| Value::Object(person.attributes.clone()))
    }

    /// The last events, oldest first.
    pub(super) fn last_events(&self, limit: usize) -> Vec<Value> {
        let skip = self.details.len().saturating_sub(limit);
        let shown = self.details.iter().skip(skip).map(|event| {
            json!({
                "id": event.id,
                "person": event.person,
                "name": event.name,
                "timestamp": event.timestamp,
            })
        });
        shown.collect()
    }

    pub(super) fn state(&self) -> Value {
        json!({
            "people": self.people.len(),
            "events": self.events,
            "duplicates": self.duplicates,
            "identifies": self.identifies,
            "deletes": self.deletes,
            "invalid": self.invalid,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify(store: &mut Store, attributes: &Value, at: i64) {
        store.identify("u", attributes.as_object().expect("an object"), at);
    }

    fn event(id: Option<&str>) -> Event {
        let id = id.map(str::to_owned);
        Event {
            id,
            person: "u".to_owned(),
            name: "n".to_owned(),
            timestamp: None,
        }
    }

    #[test]
    fn older_attributes_do_not_overwrite_newer_ones() {
        let mut store = Store::new(10);
        identify(&mut store, &json!({"plan": "new", "age": 1}), 200);
        identify(&mut store, &json!({"plan": "old", "city": "x"}), 100);
        assert_eq!(
            store.person("u"),
            Some(json!({"plan": "new", "age": 1, "city": "x"}))
        );
    }

    #[test]
    fn an_update_creates_nobody() {
        let mut store = Store::new(10);
        identify(&mut store, &json!({"_update": true, "a": 1}), 1);
        assert_eq!(store.person("u"), None);
        identify(&mut store, &json!({"a": 1}), 1);
        identify(&mut store, &json!({"_update": true, "a": 2}), 2);
        assert_eq!(store.person("u"), Some(json!({"a": 2})));
    }

    #[test]
    fn a_repeated_event_counts_once() {
        let mut store = Store::new(10);
        store.track(event(Some("01ARZ3NDEKTSV4RRFFQ69G5FAV")));
        store.track(event(Some("01ARZ3NDEKTSV4RRFFQ69G5FAV")));
        store.track(event(None));
        store.track(event(None));
        assert_eq!(
            (&store.state()["events"], &store.state()["duplicates"]),
            (&json!(3), &json!(1))
        );
        assert_eq!(store.last_events(2).len(), 2);
    }

    #[test]
    fn a_deleted_person_is_gone() {
        let mut store = Store::new(10);
        identify(&mut store, &json!({"a": 1}), 1);
        store.delete("u");
        assert_eq!(store.state()["people"], 0);
        assert_eq!(store.person("u"), None);
    }
}
