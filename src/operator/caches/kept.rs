//! Objects kept whole, less what nobody reads, and which of their changes are news.
//!
//! They are kept as JSON, and that compressed: as values of Rust, which have room for every field that
//! may be set, a thousand pipelines' objects took four times the memory of the JSON alone. A reconcile
//! reads few, and seldom.

use std::collections::HashMap;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures::stream::BoxStream;
use futures::{StreamExt, future};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::{
    ExternalMetricStatus, HorizontalPodAutoscaler, MetricIdentifier, MetricStatus, PodsMetricStatus,
};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as follow};
use kube::{Resource, ResourceExt};
use lz4_flex::block::{compress_prepend_size, decompress_size_prepended};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::operator::build::MANAGED_BY_SELECTOR;
use crate::operator::conditions;
use crate::operator::metrics::Watched;
use crate::operator::scope::Scope;
use crate::runtime::cluster;

/// Changed objects; the watch is retried with backoff, and tells of its errors itself.
pub(in crate::operator) type Triggers<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// Namespace and name.
type Key = (String, String);
/// Each as compressed JSON.
type Objects = HashMap<Key, Box<[u8]>>;

/// The objects of a kind. Written by the watch alone.
#[derive(Debug)]
pub(in crate::operator) struct Kept<K> {
    objects: RwLock<Objects>,
    listed: watch::Sender<bool>,
    kind: PhantomData<fn() -> K>,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self {
            objects: RwLock::default(),
            listed: watch::Sender::default(),
            kind: PhantomData,
        }
    }
}

impl<K> Kept<K> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    /// Waits for the first complete list.
    pub(super) async fn listed(&self) {
        // The sender is ours: it lives as long as this wait.
        self.listed
            .subscribe()
            .wait_for(|listed| *listed)
            .await
            .ok();
    }

    // A panic cannot leave the map half changed: every change is one insert, remove or assignment.
    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource + Serialize + DeserializeOwned> Kept<K> {
    /// The object of that name, without its version.
    pub(in crate::operator) fn get(&self, namespace: &str, name: &str) -> Option<K> {
        let objects = self.read();
        let packed = objects.get(&(namespace.to_owned(), name.to_owned()))?;
        // It was made from such a value; if it could not be read, the API server would be asked.
        let json = decompress_size_prepended(packed).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Takes an event in; the object, if it is news. After the watch began anew the same objects
    /// come again, and are none.
    pub(super) fn take(&self, event: Event<K>, listing: &mut Objects) -> Option<K> {
        match event {
            Event::Apply(object) => {
                let (key, packed) = (key(&object), packed(&object));
                let before = self.write().insert(key, packed.clone());
                (before != Some(packed)).then_some(object)
            }
            Event::InitApply(object) => {
                let (key, packed) = (key(&object), packed(&object));
                let known = self.read().get(&key) == Some(&packed);
                listing.insert(key, packed);
                (!known).then_some(object)
            }
            Event::Delete(object) => {
                self.write().remove(&key(&object));
                Some(object)
            }
            Event::Init => {
                listing.clear();
                None
            }
            Event::InitDone => {
                *self.write() = std::mem::take(listing);
                self.listed.send_replace(true);
                None
            }
        }
    }
}

/// Keeps the objects of a kind that are ours, each after `trim`. A change of what `trim` leaves is
/// news; any other is not.
pub(super) fn keep<K>(
    scope: &Scope,
    watched: Watched,
    trim: fn(&mut K),
) -> (Arc<Kept<K>>, Triggers<K>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + Sync,
    K: 'static,
{
    let kept = Arc::new(Kept::default());
    let config = watcher::Config::default()
        .labels(MANAGED_BY_SELECTOR)
        .page_size(cluster::PAGE);
    let (into, mut listing) = (Arc::clone(&kept), Objects::new());
    let events = follow(scope.api::<K>(), config)
        .default_backoff()
        .modify(move |object| {
            object.meta_mut().managed_fields = None;
            trim(object);
        })
        .filter_map(move |event| {
            let news = match event {
                Ok(event) => into.take(event, &mut listing).map(Ok),
                Err(error) => {
                    watched.interrupted(&error);
                    None
                }
            };
            future::ready(news)
        });
    (kept, events.boxed())
}

fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// The object but for its version, which changes with what was trimmed too.
fn packed<K: Resource + Serialize>(object: &K) -> Box<[u8]> {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.get_mut("metadata").and_then(|it| it.as_object_mut()) {
        metadata.remove("resourceVersion");
    }
    let json = serde_json::to_vec(&value).unwrap_or_default();
    compress_prepend_size(&json).into()
}

pub(super) fn trim_account(_: &mut ServiceAccount) {}

/// Its status follows every pod.
pub(super) fn trim_budget(budget: &mut PodDisruptionBudget) {
    budget.status = None;
}

/// The conditions' times follow every pod.
pub(super) fn trim_deployment(deployment: &mut Deployment) {
    let conditions = deployment
        .status
        .iter_mut()
        .flat_map(|status| status.conditions.iter_mut().flatten());
    for condition in conditions {
        condition.last_update_time = None;
        condition.last_transition_time = None;
    }
}

/// The HPA writes its numbers every 15 seconds, and words with numbers in them.
pub(super) fn trim_hpa(hpa: &mut HorizontalPodAutoscaler) {
    let Some(status) = &mut hpa.status else {
        return;
    };
    for metric in status.current_metrics.iter_mut().flatten() {
        *metric = without_value(metric);
    }
    status.last_scale_time = None;
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_transition_time = None;
        if condition.status == "True" {
            condition.message = None;
        }
    }
}

/// Of what the HPA read, only whether it read the depth: nobody asks for any other metric.
fn without_value(metric: &MetricStatus) -> MetricStatus {
    if !conditions::is_depth(metric) {
        return MetricStatus::default();
    }
    let of = |metric: &MetricIdentifier| MetricIdentifier {
        name: metric.name.clone(),
        selector: None,
    };
    MetricStatus {
        type_: metric.type_.clone(),
        pods: metric.pods.as_ref().map(|it| PodsMetricStatus {
            metric: of(&it.metric),
            ..PodsMetricStatus::default()
        }),
        external: metric.external.as_ref().map(|it| ExternalMetricStatus {
            metric: of(&it.metric),
            ..ExternalMetricStatus::default()
        }),
        ..MetricStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hpa(version: &str, desired: i32, current: &str) -> HorizontalPodAutoscaler {
        let mut hpa = serde_json::from_value(json!({
            "metadata": {"name": "e", "uid": "u", "resourceVersion": version},
            "status": {
                "desiredReplicas": desired,
                "lastScaleTime": "2026-11-24T10:00:00Z",
                "currentMetrics": [{"type": "Pods", "pods": {
                    "metric": {"name": "cio_queue_depth"}, "current": {"averageValue": current},
                }}],
                "conditions": [{"type": "ScalingActive", "status": "True", "message": current}],
            },
        }))
        .expect("an HPA");
        trim_hpa(&mut hpa);
        hpa
    }

    #[test]
    fn only_a_change_of_what_is_read_is_news() {
        let (kept, mut listing) = (Kept::default(), Objects::new());
        let mut is_news = |event| kept.take(event, &mut listing).is_some();
        for (event, expected) in [
            (Event::Init, false),
            (Event::InitApply(hpa("1", 2, "5")), true),
            (Event::InitDone, false),
            (Event::Apply(hpa("2", 2, "900")), false),
            (Event::Apply(hpa("3", 4, "900")), true),
            // The watch was interrupted.
            (Event::Init, false),
            (Event::InitApply(hpa("3", 4, "7")), false),
            (Event::InitDone, false),
            (Event::Delete(hpa("4", 4, "900")), true),
            (Event::Apply(hpa("5", 4, "900")), true),
        ] {
            let what = format!("{event:?}");
            assert_eq!(is_news(event), expected, "{what}");
        }
    }

    #[test]
    fn that_the_hpa_no_longer_gets_the_depth_is_news() {
        let (kept, mut listing) = (Kept::default(), Objects::new());
        let mut is_news = |hpa| kept.take(Event::Apply(hpa), &mut listing).is_some();
        let blind = |version| {
            let mut blind = hpa(version, 2, "5");
            let status = blind.status.as_mut().expect("a status");
            status.current_metrics = Some(vec![MetricStatus::default()]);
            trim_hpa(&mut blind);
            blind
        };
        assert!(is_news(hpa("1", 2, "5")));
        assert!(is_news(blind("2")));
        assert!(!is_news(blind("3")));
        assert!(is_news(hpa("4", 2, "900")));
        let seen: HorizontalPodAutoscaler = kept.get("", "e").expect("an HPA");
        let mut metrics = seen.status.into_iter().filter_map(|it| it.current_metrics);
        assert!(metrics.any(|metrics| metrics.iter().any(conditions::is_depth)));
    }

    #[test]
    fn an_object_is_there_from_its_event_until_it_is_deleted_or_missing_in_a_new_list() {
        let (kept, mut listing) = (Kept::default(), Objects::new());
        let mut take = |event| drop(kept.take(event, &mut listing));
        let desired = || {
            let hpa: Option<HorizontalPodAutoscaler> = kept.get("", "e");
            Some(hpa?.status?.desired_replicas)
        };
        assert_eq!(desired(), None);
        take(Event::Init);
        take(Event::InitApply(hpa("1", 2, "5")));
        take(Event::InitDone);
        assert_eq!((desired(), kept.len()), (Some(2), 1));
        take(Event::Apply(hpa("2", 4, "5")));
        assert_eq!(desired(), Some(4));
        take(Event::Delete(hpa("3", 4, "5")));
        assert_eq!(desired(), None);
        take(Event::Apply(hpa("4", 6, "5")));
        take(Event::Init);
        take(Event::InitDone);
        assert_eq!(desired(), None);
    }
}
