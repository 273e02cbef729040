//! Objects kept whole, less what nobody reads, and which of their changes are news.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::stream::BoxStream;
use futures::{StreamExt, future};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Resource;
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::operator::build::MANAGED_BY_SELECTOR;
use crate::operator::scope::Scope;

/// Objects in one page of a list: it bounds what is in memory untrimmed.
const PAGE: u32 = 200;

/// Changed objects, and errors of the watch, which is retried with backoff.
pub(in crate::operator) type Triggers<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// Keeps the objects of a kind that are ours, each after `trim`. A change of what `trim` leaves is
/// news; any other is not.
pub(super) fn keep<K>(scope: &Scope, trim: fn(&mut K)) -> (Store<K>, Triggers<K>)
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
    let (reader, writer) = reflector::store();
    let config = watcher::Config::default()
        .labels(MANAGED_BY_SELECTOR)
        .page_size(PAGE);
    let mut news = News::default();
    let events = watch(scope.api::<K>(), config)
        .default_backoff()
        .modify(move |object| {
            object.meta_mut().managed_fields = None;
            trim(object);
        })
        .reflect(writer)
        .filter_map(move |event| future::ready(news.of(event)));
    (reader, events.boxed())
}

/// What was seen last of each object, by uid, as a hash.
#[derive(Debug, Default)]
struct News {
    seen: HashMap<String, u64>,
}

impl News {
    /// The object of an event that is news. After the watch began anew the same objects come
    /// again, and are none.
    fn of<K: Resource + Serialize>(
        &mut self,
        event: Result<Event<K>, watcher::Error>,
    ) -> Option<Result<K, watcher::Error>> {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let uid = object.meta().uid.clone().unwrap_or_default();
                let hash = hash(&object);
                let before = self.seen.insert(uid, hash);
                (before != Some(hash)).then_some(Ok(object))
            }
            Ok(Event::Delete(object)) => {
                let uid = object.meta().uid.as_deref().unwrap_or_default();
                self.seen.remove(uid);
                Some(Ok(object))
            }
            Ok(Event::Init) => {
                // What was deleted while the watch was interrupted is forgotten; at the price of
                // one look at each of the others.
                self.seen.clear();
                None
            }
            Ok(Event::InitDone) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The hash of an object but for its version, which changes with what was trimmed too.
fn hash<K: Resource + Serialize>(object: &K) -> u64 {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    if let Some(metadata) = value.pointer_mut("/metadata") {
        metadata["resourceVersion"] = serde_json::Value::Null;
    }
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
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
    status.current_metrics = None;
    status.last_scale_time = None;
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_transition_time = None;
        if condition.status == "True" {
            condition.message = None;
        }
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
        let mut news = News::default();
        let mut is_news = |event| news.of(Ok(event)).is_some();
        for (event, expected) in [
            (Event::Init, false),
            (Event::InitApply(hpa("1", 2, "5")), true),
            (Event::InitDone, false),
            (Event::Apply(hpa("2", 2, "900")), false),
            (Event::Apply(hpa("3", 4, "900")), true),
            (Event::Delete(hpa("4", 4, "900")), true),
            (Event::Apply(hpa("5", 4, "900")), true),
        ] {
            let what = format!("{event:?}");
            assert_eq!(is_news(event), expected, "{what}");
        }
    }

    #[test]
    fn an_interruption_is_told() {
        let mut news = News::default();
        let error = watcher::Error::NoResourceVersion;
        let told = news.of::<HorizontalPodAutoscaler>(Err(error));
        assert!(matches!(told, Some(Err(_))));
    }
}
