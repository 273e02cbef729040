//! A set of numbers that are nearly all next to each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Numbers, as first and last of each run of neighbours. There are never more runs than numbers
/// missing between them: here, operations under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(super) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(super) fn contains(&self, number: u64) -> bool {
        let before = self.0.range(..=number).next_back();
        before.is_some_and(|(_, last)| *last >= number)
    }

    /// How many numbers there are.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let last = self.0.remove(&(number + 1)).unwrap_or(number);
        let before = self.0.range_mut(..number).next_back();
        match before.filter(|(_, end)| **end + 1 == number) {
            Some((_, end)) => *end = last,
            None => {
                self.0.insert(number, last);
            }
        }
    }
}

impl From<Vec<(u64, u64)>> for Ranges {
    fn from(ranges: Vec<(u64, u64)>) -> Self {
        let sound = ranges.into_iter().filter(|(first, last)| first <= last);
        Self(sound.collect())
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_become_one() {
        let mut ranges = Ranges::default();
        for number in [1, 3, 2, 7, 2] {
            ranges.insert(number);
        }
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[[1,3],[7,7]]");
        assert_eq!(ranges.count(), 4);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(numbers in prop::collection::vec(1_u64..60, 0..80)) {
            let mut ranges = Ranges::default();
            for number in &numbers {
                ranges.insert(*number);
            }
            let set: BTreeSet<u64> = numbers.into_iter().collect();
            prop_assert!((0..62).all(|number| ranges.contains(number) == set.contains(&number)));
            prop_assert_eq!(ranges.count(), set.len() as u64);
        }
    }
}
