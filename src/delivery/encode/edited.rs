//! A JSON object with some members left out and some set, without copying it.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::delivery::operation::Object;

/// `object` without `skip`, and with `set` in place of members of the same names.
#[derive(Debug)]
pub(super) struct Edited<'a> {
    pub(super) object: Option<&'a Object>,
    pub(super) skip: &'a [&'a str],
    pub(super) set: &'a [(&'a str, Option<Value>)],
}

impl Serialize for Edited<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kept = self.object.into_iter().flatten();
        let kept = kept.filter(|(key, _)| !self.replaces(key));
        let kept = kept.map(|(key, value)| (key.as_str(), value));
        let set = self.set.iter();
        let set = set.filter_map(|(key, value)| value.as_ref().map(|value| (*key, value)));
        serializer.collect_map(kept.chain(set))
    }
}

impl Edited<'_> {
    fn replaces(&self, key: &str) -> bool {
        self.skip.contains(&key)
            || self
                .set
                .iter()
                .any(|(name, value)| *name == key && value.is_some())
    }
}
