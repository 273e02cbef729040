//! Caches that hold what a test says.

use std::collections::HashMap;
use std::sync::Arc;

use kube::Resource;
use kube::runtime::watcher::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Caches;
use super::kept::Kept;

/// Caches that are filled with these objects, and with no pod.
pub(in crate::operator) fn holding(objects: &[Value]) -> Caches {
    let pods = super::pods::tests::listed();
    Caches {
        accounts: kept(objects, "ServiceAccount"),
        budgets: kept(objects, "PodDisruptionBudget"),
        deployments: kept(objects, "Deployment"),
        hpas: kept(objects, "HorizontalPodAutoscaler"),
        pods: pods.into(),
    }
}

fn kept<K>(objects: &[Value], kind: &str) -> Arc<Kept<K>>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let (kept, mut listing) = (Kept::default(), HashMap::new());
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    let mut events = vec![Event::Init];
    events.extend(of_kind.map(|object| {
        Event::InitApply(serde_json::from_value(object.clone()).expect("an object of its kind"))
    }));
    events.push(Event::InitDone);
    for event in events {
        drop(kept.take(event, &mut listing));
    }
    Arc::new(kept)
}
