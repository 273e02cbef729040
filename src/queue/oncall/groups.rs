//! Failed jobs by reason: pure, and of bounded size.

use std::collections::HashMap;

use serde::Serialize;

use crate::queue::job::loggable_id;

/// Different reasons that are told apart.
const MOST: usize = 1000;
/// Characters of a reason that tell it apart.
const LENGTH: usize = 300;
/// What reasons beyond [`MOST`] are counted under.
const OTHERS: &str = "(other reasons)";
/// What jobs without a reason are counted under.
const NONE: &str = "(no reason)";

/// Jobs that failed for one reason; times are in ms since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The reason, cut after 300 characters.
    pub reason: String,
    /// Jobs.
    pub count: u64,
    /// When the first of them failed.
    pub oldest: u64,
    /// When the last of them failed.
    pub newest: u64,
    /// The id of the last, in a form that may be logged.
    pub example: String,
}

/// All groups.
#[derive(Debug, Clone, Default)]
pub struct Groups(HashMap<String, Group>);

impl Groups {
    /// Counts a job in.
    pub(super) fn add(&mut self, reason: &str, at_ms: u64, id: &str) {
        let reason: String = match reason.trim() {
            "" => NONE.to_owned(),
            text => text.chars().take(LENGTH).collect(),
        };
        let full = self.0.len() >= MOST && !self.0.contains_key(&reason);
        let reason = if full { OTHERS.to_owned() } else { reason };
        let new = || Group {
            reason: reason.clone(),
            count: 0,
            oldest: at_ms,
            newest: at_ms,
            example: String::new(),
        };
        let group = self.0.entry(reason.clone()).or_insert_with(new);
        group.count += 1;
        group.oldest = group.oldest.min(at_ms);
        if at_ms >= group.newest {
            group.newest = at_ms;
            group.example = loggable_id(id).into_owned();
        }
    }

    /// The largest first.
    pub fn into_sorted(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.0.into_values().collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_count_first_last_and_an_id_that_may_be_logged() {
        let mut groups = Groups::default();
        for (reason, at, id) in [
            ("a", 5, "1"),
            ("b", 7, "2"),
            ("a", 9, "me@example.com"),
            (" ", 1, "3"),
        ] {
            groups.add(reason, at, id);
        }
        let sorted = groups.into_sorted();
        assert_eq!((sorted[0].reason.as_str(), sorted[0].count), ("a", 2));
        assert_eq!((sorted[0].oldest, sorted[0].newest), (5, 9));
        assert!(sorted[0].example.starts_with("sha256:"), "{sorted:?}");
        assert_eq!(sorted[1].reason, NONE);
        assert_eq!(sorted[2].example, "2");
    }

    #[test]
    fn a_million_different_reasons_need_no_more_room_than_a_thousand() {
        let mut groups = Groups::default();
        for n in 0..3_000_u64 {
            groups.add(&format!("reason {n} {}", "é".repeat(400)), n, "1");
        }
        let sorted = groups.into_sorted();
        assert_eq!(sorted.len(), MOST + 1);
        assert_eq!(
            (sorted[0].reason.as_str(), sorted[0].count),
            (OTHERS, 2_000)
        );
        assert!(
            sorted
                .iter()
                .all(|group| group.reason.chars().count() <= LENGTH)
        );
    }
}
