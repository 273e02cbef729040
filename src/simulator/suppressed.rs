//! Who must not come back: all names of a person that was suppressed, until one of them is lifted.

use std::collections::HashMap;

use super::identity::Identity;

/// More people than this are not kept: a further suppression is dropped.
const MOST_PEOPLE: usize = 1_000_000;

/// The names, and the suppression that each one came with.
#[derive(Debug, Default)]
pub(super) struct Suppressed {
    by_name: HashMap<Identity, u64>,
    names: HashMap<u64, Vec<Identity>>,
    last: u64,
}

impl Suppressed {
    /// Suppressions in force.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn covers(&self, name: &Identity) -> bool {
        self.by_name.contains_key(name)
    }

    /// `false`: there is no room for it.
    pub(super) fn add(&mut self, names: Vec<Identity>) -> bool {
        if self.len() >= MOST_PEOPLE {
            return false;
        }
        self.last += 1;
        for name in &names {
            self.by_name.insert(name.clone(), self.last);
        }
        self.names.insert(self.last, names);
        true
    }

    /// Lifts the suppression that `name` came with, for all of its names. `false`: there is none.
    pub(super) fn lift(&mut self, name: &Identity) -> bool {
        let Some(suppression) = self.by_name.get(name).copied() else {
            return false;
        };
        for name in self.names.remove(&suppression).unwrap_or_default() {
            if self.by_name.get(&name) == Some(&suppression) {
                self.by_name.remove(&name);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_a_person_are_suppressed_and_lifted_together() {
        let id = Identity::Id("u".to_owned());
        let email = Identity::email("u@x.io");
        let mut suppressed = Suppressed::default();
        assert!(!suppressed.lift(&id));
        assert!(suppressed.add(vec![id.clone(), email.clone()]));
        assert!(suppressed.covers(&id) && suppressed.covers(&email));
        assert_eq!(suppressed.len(), 1);
        assert!(suppressed.lift(&email));
        assert!(!suppressed.covers(&id) && !suppressed.covers(&email));
        assert_eq!(suppressed.len(), 0);
    }
}
