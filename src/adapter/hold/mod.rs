//! The pipelines that add no pods while more of them could do nothing: `whenSaturated: Hold`.
//!
//! `watch` follows the `CioPipelines`, [`Holds`] keeps what is needed of them: a name and a number.

pub(super) mod watch;

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use crate::api::{CioPipelineSpec, WhenSaturated};

/// A pipeline: its namespace and its name.
type Key = (String, String);

/// The HPA's target of each pipeline that holds. Cheap to read, written by the watch alone.
#[derive(Debug, Default)]
pub struct Holds(RwLock<HashMap<Key, u64>>);

impl Holds {
    /// Jobs that a pod should have to itself, where the pipeline holds.
    pub(super) fn target(&self, pipeline: &Key) -> Option<u64> {
        // A panic cannot leave the map half changed: every change is one insert, remove or retain.
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        held.get(pipeline).copied()
    }

    /// Takes a pipeline's spec in; none for one that is gone or cannot be read.
    pub fn set(&self, namespace: &str, name: &str, spec: Option<&CioPipelineSpec>) {
        let key = (namespace.to_owned(), name.to_owned());
        match spec.and_then(target) {
            Some(target) => self.write().insert(key, target),
            None => self.write().remove(&key),
        };
    }

    /// Replaces everything in `namespace`, or everything at all, by a complete new list.
    fn replace(&self, namespace: Option<&str>, listed: Vec<(Key, u64)>) {
        let mut held = self.write();
        held.retain(|(other, _), _| namespace.is_some_and(|only| only != other));
        held.extend(listed);
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Key, u64>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The HPA's target, where the spec says to hold.
fn target(spec: &CioPipelineSpec) -> Option<u64> {
    let autoscaling = &spec.autoscaling;
    let holds = autoscaling.when_saturated == WhenSaturated::Hold;
    holds.then_some(autoscaling.queue_depth.unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> Key {
        (namespace.to_owned(), name.to_owned())
    }

    fn spec(when_saturated: &str) -> CioPipelineSpec {
        let manifest = format!(
            "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: e}}\nspec:\n  \
             queue: {{redis: {{url: 'redis://r'}}}}\n  \
             autoscaling: {{queueDepth: 300, whenSaturated: {when_saturated}}}\n"
        );
        crate::api::parse(&manifest).unwrap().spec
    }

    #[test]
    fn only_pipelines_that_hold_have_a_target_until_they_are_gone_or_changed() {
        let holds = Holds::default();
        holds.set("shop", "a", Some(&spec("Hold")));
        holds.set("shop", "b", Some(&spec("Scale")));
        assert_eq!(holds.target(&key("shop", "a")), Some(300));
        assert_eq!(holds.target(&key("shop", "b")), None);
        assert_eq!(holds.target(&key("other", "a")), None);
        holds.set("shop", "a", Some(&spec("Scale")));
        assert_eq!(holds.target(&key("shop", "a")), None);
        holds.set("shop", "a", Some(&spec("Hold")));
        holds.set("shop", "a", None);
        assert_eq!(holds.target(&key("shop", "a")), None);
    }

    #[test]
    fn a_new_list_of_a_namespace_leaves_the_others_alone() {
        let holds = Holds::default();
        holds.set("shop", "a", Some(&spec("Hold")));
        holds.set("other", "b", Some(&spec("Hold")));
        holds.replace(Some("shop"), vec![(key("shop", "c"), 5)]);
        let targets = [("shop", "a"), ("shop", "c"), ("other", "b")]
            .map(|(namespace, name)| holds.target(&key(namespace, name)));
        assert_eq!(targets, [None, Some(5), Some(300)]);
        holds.replace(None, Vec::new());
        assert_eq!(holds.target(&key("other", "b")), None);
    }
}
