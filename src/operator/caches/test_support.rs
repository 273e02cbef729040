//! Caches that hold what a test says.

use kube::Resource;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Caches;

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

fn kept<K>(objects: &[Value], kind: &str) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + 'static,
{
    let (reader, mut writer) = reflector::store();
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    let mut events = vec![Event::Init];
    events.extend(of_kind.map(|object| {
        Event::InitApply(serde_json::from_value(object.clone()).expect("an object of its kind"))
    }));
    events.push(Event::InitDone);
    for event in &events {
        writer.apply_watcher_event(event);
    }
    // The store outlives its writer, but would never be ready without one.
    std::mem::forget(writer);
    reader
}
