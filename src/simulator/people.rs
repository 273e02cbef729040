//! The people of the workspace: what names them, and their attributes with the times they speak of.

mod belongings;

use std::collections::HashMap;

use serde_json::{Map, Value};

pub(super) use self::belongings::Belongings;
use super::identity::Identity;

/// More people than this are not kept: an identify of another one is dropped.
const MOST_PEOPLE: usize = 1_000_000;
/// The documented number of unique attributes of a person; more are ignored.
const MOST_ATTRIBUTES: usize = 300;
/// Attributes that steer the call and are not kept.
const STEERING: [&str; 2] = ["_timestamp", "_update"];

/// A person: attributes, and for each the time it speaks of.
#[derive(Debug, Default)]
struct Person {
    id: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    attributes: Map<String, Value>,
    times: HashMap<String, i64>,
    belongings: Belongings,
}

/// Somebody who is not here any more, and every name that led to them.
#[derive(Debug)]
pub(super) struct Removed {
    pub(super) names: Vec<Identity>,
    person: Person,
}

/// Everyone, by number, and the names that lead to the number.
#[derive(Debug, Default)]
pub(super) struct People {
    by_number: HashMap<u64, Person>,
    names: HashMap<Identity, u64>,
    last: u64,
}

/// A person as shown.
#[derive(Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) cio_id: String,
    pub(super) attributes: Map<String, Value>,
}

impl People {
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn get(&self, name: &Identity) -> Option<Shown> {
        let number = self.number(name)?;
        let person = self.by_number.get(&number)?;
        Some(Shown {
            cio_id: cio_id(number),
            attributes: person.attributes.clone(),
        })
    }

    pub(super) fn knows(&self, name: &Identity) -> bool {
        self.number(name).is_some()
    }

    /// An upsert; older attributes (`at`, unix seconds) do not overwrite newer ones. `false`: dropped
    /// in silence, as the real one does: with `_update: true` or a `cio_id` nobody is created, and an
    /// `id` among the attributes that is not this person's spoils the update.
    pub(super) fn identify(
        &mut self,
        name: &Identity,
        attributes: Map<String, Value>,
        at: i64,
    ) -> bool {
        let id = attributes.get("id").and_then(Value::as_str);
        let number = match self.number(name) {
            Some(number) if self.may_be_called(number, id) => number,
            Some(_) => return false,
            None if attributes.get("_update") == Some(&Value::Bool(true)) => return false,
            None => match self.create(name, id) {
                Some(number) => number,
                None => return false,
            },
        };
        if let Some(id) = id {
            self.link(number, Identity::Id(id.to_owned()));
        }
        for (attribute, value) in attributes {
            self.set(number, attribute, value, at);
        }
        true
    }

    pub(super) fn remove(&mut self, name: &Identity) -> Option<Removed> {
        let number = self.number(name)?;
        let mut person = self.by_number.remove(&number)?;
        let names = [
            person.id.take().map(Identity::Id),
            person.email.take().map(Identity::Email),
            person.phone.take().map(Identity::Phone),
        ];
        let mut names: Vec<Identity> = names.into_iter().flatten().collect();
        for name in &names {
            self.names.remove(name);
        }
        names.push(Identity::CioId(cio_id(number)));
        Some(Removed { names, person })
    }

    fn number(&self, name: &Identity) -> Option<u64> {
        match name {
            Identity::CioId(text) => u64::from_str_radix(text, 16)
                .ok()
                .filter(|number| self.by_number.contains_key(number)),
            name => self.names.get(name).copied(),
        }
    }

    /// An id is given once: by the first identify that has one.
    fn may_be_called(&self, number: u64, id: Option<&str>) -> bool {
        let Some(id) = id else { return true };
        let own = self
            .by_number
            .get(&number)
            .and_then(|person| person.id.as_deref());
        own.map_or_else(
            || !self.names.contains_key(&Identity::Id(id.to_owned())),
            |own| own == id,
        )
    }

    fn create(&mut self, name: &Identity, id: Option<&str>) -> Option<u64> {
        let another_id = match (name, id) {
            (Identity::Id(own), Some(id)) => own != id,
            (_, Some(id)) => self.names.contains_key(&Identity::Id(id.to_owned())),
            (_, None) => false,
        };
        let nameless = matches!(name, Identity::CioId(_) | Identity::Anonymous(_));
        if another_id || nameless || self.len() >= MOST_PEOPLE {
            return None;
        }
        self.last += 1;
        self.by_number.insert(self.last, Person::default());
        self.link(self.last, name.clone());
        Some(self.last)
    }

    /// Lets a name lead to a person, unless it leads to somebody else.
    fn link(&mut self, number: u64, name: Identity) {
        let Some(person) = self.by_number.get_mut(&number) else {
            return;
        };
        if self
            .names
            .get(&name)
            .is_some_and(|holder| *holder != number)
        {
            return;
        }
        let old = match &name {
            Identity::Id(id) => person.id.replace(id.clone()).map(Identity::Id),
            Identity::Email(email) => person.email.replace(email.clone()).map(Identity::Email),
            Identity::Phone(phone) => person.phone.replace(phone.clone()).map(Identity::Phone),
            Identity::CioId(_) | Identity::Anonymous(_) => return,
        };
        if let Some(old) = old {
            self.names.remove(&old);
        }
        self.names.insert(name, number);
    }

    fn set(&mut self, number: u64, name: String, value: Value, at: i64) {
        let Some(person) = self.by_number.get_mut(&number) else {
            return;
        };
        let known = person.times.get(&name).copied();
        let full = known.is_none() && person.attributes.len() >= MOST_ATTRIBUTES;
        if full || STEERING.contains(&name.as_str()) || known.is_some_and(|known| known > at) {
            return;
        }
        let email = value.as_str().filter(|_| name == "email");
        let email = email.map(Identity::email);
        person.times.insert(name.clone(), at);
        person.attributes.insert(name, value);
        if let Some(email) = email {
            self.link(number, email);
        }
    }
}

fn cio_id(number: u64) -> String {
    format!("{number:012x}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(text: &str) -> Identity {
        Identity::Id(text.to_owned())
    }

    fn identify(people: &mut People, name: &Identity, attributes: &Value, at: i64) -> bool {
        let attributes = attributes.as_object().expect("an object").clone();
        people.identify(name, attributes, at)
    }

    fn attributes(people: &People, name: &Identity) -> Option<Value> {
        people
            .get(name)
            .map(|person| Value::Object(person.attributes))
    }

    #[test]
    fn older_attributes_do_not_overwrite_newer_ones() {
        let mut people = People::default();
        let steps = [
            (json!({"plan": "new", "age": 1, "_timestamp": 200}), 200),
            (json!({"plan": "old", "city": "x"}), 100),
            (json!({"age": 2}), 200),
        ];
        for (given, at) in steps {
            assert!(identify(&mut people, &id("u"), &given, at));
        }
        let expected = json!({"plan": "new", "age": 2, "city": "x"});
        assert_eq!(attributes(&people, &id("u")), Some(expected));
    }

    #[test]
    fn an_update_creates_nobody() {
        let mut people = People::default();
        let update = json!({"_update": true, "a": 2});
        assert!(!identify(&mut people, &id("u"), &update, 1));
        assert_eq!(people.len(), 0);
        identify(&mut people, &id("u"), &json!({"a": 1}), 1);
        assert!(identify(&mut people, &id("u"), &update, 2));
        assert_eq!(attributes(&people, &id("u")), Some(json!({"a": 2})));
    }

    #[test]
    fn id_email_and_cio_id_name_one_person() {
        let mut people = People::default();
        identify(&mut people, &id("u"), &json!({"email": "Ann@X.io"}), 1);
        let cio_id = Identity::CioId(people.get(&id("u")).expect("a person").cio_id);
        let email = Identity::email("ann@x.IO");
        for name in [&id("u"), &email, &cio_id] {
            assert!(identify(&mut people, name, &json!({"seen": true}), 2));
        }
        assert_eq!(people.len(), 1);
        identify(&mut people, &id("u"), &json!({"email": "new@x.io"}), 3);
        assert!(!people.knows(&email), "the old address leads nowhere");
        assert!(people.remove(&Identity::email("new@x.io")).is_some());
        for name in [&id("u"), &cio_id, &Identity::email("new@x.io")] {
            assert!(!people.knows(name), "{name:?}");
        }
        assert!(people.remove(&id("u")).is_none());
    }

    #[test]
    fn an_address_that_is_somebody_elses_still_leads_to_them() {
        let mut people = People::default();
        identify(&mut people, &id("first"), &json!({"email": "a@x.io"}), 1);
        identify(&mut people, &id("second"), &json!({"email": "a@x.io"}), 1);
        assert_eq!(people.len(), 2);
        people.remove(&id("second"));
        assert!(people.knows(&Identity::email("a@x.io")));
    }

    #[test]
    fn what_the_real_one_drops_in_silence_is_dropped() {
        let mut people = People::default();
        let email = Identity::email("a@x.io");
        identify(&mut people, &id("other"), &json!({}), 1);
        let cases = [
            (Identity::CioId("0000000000ff".to_owned()), json!({"a": 1})),
            (Identity::CioId("no hex".to_owned()), json!({"a": 1})),
            (id("other"), json!({"id": "u", "a": 1})),
            (id("new"), json!({"id": "u", "a": 1})),
            (email.clone(), json!({"id": "other", "a": 1})),
        ];
        for (name, given) in cases {
            assert!(!identify(&mut people, &name, &given, 1), "{name:?}");
        }
        assert_eq!(people.len(), 1);
        assert_eq!(attributes(&people, &id("other")), Some(json!({})));
        assert!(identify(&mut people, &email, &json!({"id": "u"}), 1));
        assert!(people.knows(&id("u")), "the first id of a person is taken");
    }

    #[test]
    fn a_person_has_at_most_300_attributes() {
        let mut people = People::default();
        let part = |from: u32| {
            let names = (from..from + 200).map(|n| (n.to_string(), json!(n)));
            Value::Object(names.collect())
        };
        identify(&mut people, &id("u"), &part(0), 1);
        identify(&mut people, &id("u"), &part(200), 1);
        identify(&mut people, &id("u"), &json!({"0": "changed"}), 2);
        let person = people.get(&id("u")).expect("a person");
        assert_eq!(person.attributes.len(), 300);
        assert_eq!(person.attributes["0"], "changed");
    }
}
