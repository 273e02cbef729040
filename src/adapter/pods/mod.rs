//! The pods of all pipelines, as a watch of the API server tells of them.
//!
//! `watch` follows, `pod` trims each pod to what a question needs, [`PodStore`] holds them.

pub(super) mod pod;
pub(super) mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use k8s_openapi::api::core::v1::Pod;

use super::request::Target;
use pod::WorkerPod;

pub use pod::{Sidecar, in_turn, sidecar, worker};

/// The label that every worker pod carries: the pipeline's name.
pub const PIPELINE_LABEL: &str = "cio.dev/pipeline";
/// The label by which a Deployment tells pods of one template from those of another.
pub(super) const POD_TEMPLATE_LABEL: &str = "pod-template-hash";

/// The pods of one namespace, by name.
type Pods = BTreeMap<String, Arc<WorkerPod>>;

/// The worker pods of every watched namespace. Cheap to read, written by the watch alone.
#[derive(Debug, Default)]
pub struct PodStore(RwLock<HashMap<String, Pods>>);

impl PodStore {
    /// Takes a pod in, or its new state.
    pub fn apply(&self, pod: &Pod) {
        let Some((namespace, pod)) = pod::trim(pod) else {
            return;
        };
        let mut namespaces = self.write();
        let pods = namespaces.entry(namespace).or_default();
        pods.insert(pod.name.clone(), Arc::new(pod));
    }

    /// Forgets a pod that is gone.
    pub fn delete(&self, pod: &Pod) {
        let (Some(namespace), Some(name)) = (&pod.metadata.namespace, &pod.metadata.name) else {
            return;
        };
        let mut namespaces = self.write();
        let Some(pods) = namespaces.get_mut(namespace) else {
            return;
        };
        pods.remove(name);
        if pods.is_empty() {
            namespaces.remove(namespace);
        }
    }

    /// Replaces everything in `namespace`, or everything at all, by a complete new list.
    pub(super) fn replace(&self, namespace: Option<&str>, listed: Vec<(String, WorkerPod)>) {
        let mut fresh: HashMap<String, Pods> = HashMap::new();
        for (namespace, pod) in listed {
            let pods = fresh.entry(namespace).or_default();
            pods.insert(pod.name.clone(), Arc::new(pod));
        }
        let mut namespaces = self.write();
        match namespace {
            None => *namespaces = fresh,
            Some(only) => {
                namespaces.remove(only);
                namespaces.extend(fresh);
            }
        }
    }

    /// The pods that a question is about, with the other pods of their pipeline where it names
    /// one: a pod's share depends on them. By pipeline, then by name.
    pub(super) fn select(
        &self,
        namespace: &str,
        target: &Target,
    ) -> BTreeMap<String, Vec<Arc<WorkerPod>>> {
        let namespaces = self.read();
        let Some(pods) = namespaces.get(namespace) else {
            return BTreeMap::new();
        };
        let pipeline = match target {
            Target::Selected(selector) => selector.equal(PIPELINE_LABEL),
            Target::Named(name) => match pods.get(name) {
                Some(pod) => Some(pod.pipeline.as_str()),
                None => return BTreeMap::new(),
            },
        };
        let mut selected: BTreeMap<String, Vec<Arc<WorkerPod>>> = BTreeMap::new();
        for pod in pods.values() {
            // One comparison before the labels are looked at: a namespace may hold thousands.
            if pipeline.is_some_and(|only| only != pod.pipeline) {
                continue;
            }
            if let Target::Selected(selector) = target
                && !selector.matches(&pod.labels)
            {
                continue;
            }
            let group = selected.entry(pod.pipeline.clone()).or_default();
            group.push(Arc::clone(pod));
        }
        selected
    }

    /// How many pods are held.
    pub fn len(&self) -> usize {
        self.read().values().map(BTreeMap::len).sum()
    }

    /// Whether no pod is held.
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    // A panic cannot leave the map half changed: every change is one insert, remove or assignment.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Pods>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Pods>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::pod::tests::{pod, with_name};
    use super::*;
    use crate::adapter::selector::Selector;

    fn names(store: &PodStore, namespace: &str, target: &Target) -> Vec<String> {
        let name = |pod: &Arc<WorkerPod>| format!("{}/{}", pod.pipeline, pod.name);
        let selected = store.select(namespace, target);
        selected.values().flatten().map(name).collect()
    }

    fn selected(text: &str) -> Target {
        Target::Selected(Selector::parse(text).unwrap())
    }

    fn filled() -> PodStore {
        let store = PodStore::default();
        for (namespace, pipeline, name) in [
            ("shop", "events", "e-2"),
            ("shop", "events", "e-1"),
            ("shop", "mails", "m-1"),
            ("other", "events", "o-1"),
        ] {
            store.apply(&with_name(pod(), namespace, pipeline, name));
        }
        store
    }

    #[test]
    fn pods_are_selected_by_namespace_and_labels() {
        let store = filled();
        for (namespace, target, expected) in [
            (
                "shop",
                selected("cio.dev/pipeline=events"),
                vec!["events/e-1", "events/e-2"],
            ),
            (
                "shop",
                selected(""),
                vec!["events/e-1", "events/e-2", "mails/m-1"],
            ),
            ("shop", selected("cio.dev/pipeline=events,absent"), vec![]),
            (
                "other",
                selected("cio.dev/pipeline in (events,mails)"),
                vec!["events/o-1"],
            ),
            ("nowhere", selected(""), vec![]),
            (
                "shop",
                Target::Named("e-1".to_owned()),
                vec!["events/e-1", "events/e-2"],
            ),
            ("shop", Target::Named("o-1".to_owned()), vec![]),
        ] {
            assert_eq!(
                names(&store, namespace, &target),
                expected,
                "{namespace} {target:?}"
            );
        }
    }

    #[test]
    fn a_pod_that_is_gone_is_forgotten() {
        let store = filled();
        store.delete(&with_name(pod(), "other", "events", "o-1"));
        assert_eq!(store.len(), 3);
        store.delete(&with_name(pod(), "other", "events", "o-1"));
        assert!(names(&store, "other", &selected("")).is_empty());
    }

    #[test]
    fn a_new_list_of_a_namespace_leaves_the_others_alone() {
        let store = filled();
        let listed = pod::trim(&with_name(pod(), "shop", "events", "e-9"));
        store.replace(Some("shop"), listed.into_iter().collect());
        assert_eq!(names(&store, "shop", &selected("")), ["events/e-9"]);
        assert_eq!(names(&store, "other", &selected("")), ["events/o-1"]);
        store.replace(None, Vec::new());
        assert!(store.is_empty());
    }
}
