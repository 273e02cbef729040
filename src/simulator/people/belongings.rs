//! What belongs to a person besides attributes: devices and manual segments; and how two people
//! become one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::identity::Identity;
use super::People;

/// More than these are not kept: a further one is dropped. The bounds are ours.
const MOST_DEVICES: usize = 25;
const MOST_SEGMENTS: usize = 1_000;

/// The devices by their tokens, and the numbers of the segments.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(in super::super) struct Belongings {
    pub(in super::super) devices: BTreeMap<String, Map<String, Value>>,
    pub(in super::super) segments: BTreeSet<u32>,
}

impl Belongings {
    /// `false`: there is no room for it.
    fn add_device(&mut self, token: String, device: Map<String, Value>) -> bool {
        let fits = self.devices.len() < MOST_DEVICES || self.devices.contains_key(&token);
        if fits {
            self.devices.insert(token, device);
        }
        fits
    }

    fn join(&mut self, segment: u32) -> bool {
        let fits = self.segments.len() < MOST_SEGMENTS || self.segments.contains(&segment);
        if fits {
            self.segments.insert(segment);
        }
        fits
    }

    /// Takes over what another person had; its own devices stay as they are.
    fn absorb(&mut self, other: Self) {
        for (token, device) in other.devices {
            if !self.devices.contains_key(&token) {
                self.add_device(token, device);
            }
        }
        for segment in other.segments {
            self.join(segment);
        }
    }
}

/// Each of these says whether anything became of it: what concerns somebody unknown is dropped.
impl People {
    pub(in super::super) fn belongings(&self, name: &Identity) -> Option<&Belongings> {
        let number = self.number(name)?;
        Some(&self.by_number.get(&number)?.belongings)
    }

    pub(in super::super) fn add_device(
        &mut self,
        name: &Identity,
        token: String,
        device: Map<String, Value>,
    ) -> bool {
        self.belongings_mut(name)
            .is_some_and(|own| own.add_device(token, device))
    }

    pub(in super::super) fn delete_device(&mut self, name: &Identity, token: &str) -> bool {
        self.belongings_mut(name)
            .is_some_and(|own| own.devices.remove(token).is_some())
    }

    pub(in super::super) fn change_segment(
        &mut self,
        name: &Identity,
        segment: u32,
        join: bool,
    ) -> bool {
        let Some(own) = self.belongings_mut(name) else {
            return false;
        };
        if join {
            own.join(segment)
        } else {
            own.segments.remove(&segment)
        }
    }

    /// The secondary is deleted; the primary takes over its devices, its segments, and the attributes
    /// that it has not, or has empty.
    pub(in super::super) fn merge(&mut self, primary: &Identity, secondary: &Identity) -> bool {
        let (Some(number), Some(other)) = (self.number(primary), self.number(secondary)) else {
            return false;
        };
        if number == other {
            return false;
        }
        let Some(other) = self.remove(secondary) else {
            return false;
        };
        for (attribute, value) in other.person.attributes {
            let at = other.person.times.get(&attribute).copied();
            if self.lacks(number, &attribute) {
                self.set(number, attribute, value, at.unwrap_or_default());
            }
        }
        if let Some(person) = self.by_number.get_mut(&number) {
            person.belongings.absorb(other.person.belongings);
        }
        true
    }

    fn lacks(&mut self, number: u64, attribute: &str) -> bool {
        let Some(person) = self.by_number.get_mut(&number) else {
            return false;
        };
        let empty = match person.attributes.get(attribute) {
            None | Some(Value::Null) => true,
            Some(value) => value == "",
        };
        if empty {
            // An empty value of later date gives way, too.
            person.times.remove(attribute);
        }
        empty
    }

    fn belongings_mut(&mut self, name: &Identity) -> Option<&mut Belongings> {
        let number = self.number(name)?;
        Some(&mut self.by_number.get_mut(&number)?.belongings)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(text: &str) -> Identity {
        Identity::Id(text.to_owned())
    }

    fn people(given: &[(&str, Value)]) -> People {
        let mut people = People::default();
        for (name, attributes) in given {
            let attributes = attributes.as_object().cloned().unwrap();
            people.identify(&id(name), attributes, 1);
        }
        people
    }

    fn device(os: &str) -> Map<String, Value> {
        json!({ "os": os }).as_object().cloned().unwrap()
    }

    #[test]
    fn what_belongs_to_nobody_is_dropped() {
        let mut people = people(&[("u", json!({}))]);
        let cases = [("u", true), ("nobody", false)];
        for (name, known) in cases {
            let name = id(name);
            assert_eq!(people.add_device(&name, "t".to_owned(), device("a")), known);
            assert_eq!(people.delete_device(&name, "t"), known);
            assert!(!people.delete_device(&name, "t"));
            assert_eq!(people.change_segment(&name, 7, true), known);
            assert_eq!(people.change_segment(&name, 7, false), known);
            assert!(!people.change_segment(&name, 7, false));
        }
    }

    #[test]
    fn there_is_an_end_of_devices_but_a_known_one_may_change() {
        let mut people = people(&[("u", json!({}))]);
        for n in 0..MOST_DEVICES {
            assert!(people.add_device(&id("u"), n.to_string(), device("a")));
        }
        assert!(!people.add_device(&id("u"), "more".to_owned(), device("a")));
        assert!(people.add_device(&id("u"), "0".to_owned(), device("b")));
        let own = people.belongings(&id("u")).unwrap();
        assert_eq!(own.devices["0"], device("b"));
    }

    #[test]
    fn two_people_become_one() {
        let mut people = people(&[
            ("one", json!({"plan": "a", "city": ""})),
            (
                "two",
                json!({"plan": "b", "city": "x", "email": "two@x.io"}),
            ),
        ]);
        people.add_device(&id("one"), "t".to_owned(), device("own"));
        people.add_device(&id("two"), "t".to_owned(), device("other"));
        people.add_device(&id("two"), "t2".to_owned(), device("other"));
        people.change_segment(&id("two"), 7, true);
        assert!(people.merge(&id("one"), &id("two")));
        assert!(!people.knows(&id("two")));
        let email = Identity::email("two@x.io");
        let merged = people.get(&email).unwrap();
        let expected = json!({"plan": "a", "city": "x", "email": "two@x.io"});
        assert_eq!(Value::Object(merged.attributes), expected);
        let own = people.belongings(&id("one")).unwrap();
        assert_eq!(own.devices["t"], device("own"));
        assert_eq!(own.devices["t2"], device("other"));
        assert!(own.segments.contains(&7));
    }

    #[test]
    fn nobody_is_merged_with_somebody_unknown_or_with_themselves() {
        let mut people = people(&[("u", json!({"email": "u@x.io"}))]);
        let pairs = [
            (id("u"), id("x")),
            (id("x"), id("u")),
            (id("u"), id("u")),
            (id("u"), Identity::email("u@x.io")),
        ];
        for (primary, secondary) in pairs {
            assert!(!people.merge(&primary, &secondary));
        }
        assert_eq!(people.len(), 1);
    }
}
