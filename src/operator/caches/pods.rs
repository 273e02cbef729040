//! Of each worker pod: whom to ask, and why it does not start.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;

use crate::adapter::pods::{self, PIPELINE_LABEL, Sidecar};
use crate::operator::build::MANAGED_BY_SELECTOR;
use crate::operator::conditions::{Obstacle, obstacle_of_pod};
use crate::operator::metrics::Watched;
use crate::operator::scope::Scope;
use crate::runtime::cluster;

/// What a reconcile needs of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SeenPod {
    sidecar: Option<Sidecar>,
    worker: Option<SocketAddr>,
    obstacle: Option<Obstacle>,
}

/// A pipeline: its namespace and its name.
type Key = (String, String);
/// The pods of each pipeline, by name.
type Pods = HashMap<Key, BTreeMap<String, SeenPod>>;

/// The worker pods of all pipelines. Written by the watch alone.
#[derive(Debug, Default)]
pub(in crate::operator) struct PodIndex {
    pods: RwLock<Pods>,
    listed: watch::Sender<bool>,
}

/// What the pods of one pipeline come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::operator) struct Reachable {
    /// Where a sidecar can be asked, in the order in which to ask.
    pub(in crate::operator) sidecars: Vec<SocketAddr>,
    /// Where a worker of our own can be asked.
    pub(in crate::operator) workers: Vec<SocketAddr>,
    /// What keeps a pod from starting.
    pub(in crate::operator) obstacle: Option<Obstacle>,
}

impl PodIndex {
    /// The pods of a pipeline.
    pub(in crate::operator) fn of(&self, namespace: &str, pipeline: &str) -> Reachable {
        let key = (namespace.to_owned(), pipeline.to_owned());
        let all = self.read();
        let Some(of_pipeline) = all.get(&key) else {
            return Reachable::default();
        };
        let sidecars = of_pipeline.values().filter_map(|pod| pod.sidecar);
        Reachable {
            sidecars: pods::in_turn(sidecars),
            workers: of_pipeline.values().filter_map(|pod| pod.worker).collect(),
            obstacle: of_pipeline
                .values()
                .filter_map(|pod| pod.obstacle.as_ref())
                .min()
                .cloned(),
        }
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

    fn take(&self, event: watcher::Event<Pod>, listing: &mut Pods) {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(pod) => insert(listing, &pod),
            watcher::Event::InitDone => {
                *self.write() = std::mem::take(listing);
                self.listed.send_replace(true);
            }
            watcher::Event::Apply(pod) => insert(&mut self.write(), &pod),
            watcher::Event::Delete(pod) => remove(&mut self.write(), &pod),
        }
    }

    // A panic cannot leave the map half changed: every change is one insert, remove or assignment.
    fn read(&self) -> RwLockReadGuard<'_, Pods> {
        self.pods.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pods> {
        self.pods.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the pods until dropped. An interruption is retried with backoff; meanwhile the index
/// stays as it was.
pub(in crate::operator) async fn follow(scope: &Scope, index: &PodIndex, watched: &Watched) {
    let labels = format!("{MANAGED_BY_SELECTOR},{PIPELINE_LABEL}");
    let config = watcher::Config::default()
        .labels(&labels)
        .page_size(cluster::PAGE);
    let mut events = std::pin::pin!(watcher(scope.api::<Pod>(), config).default_backoff());
    let mut listing = Pods::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => index.take(event, &mut listing),
            Err(error) => watched.interrupted(&error),
        }
    }
}

fn identity(pod: &Pod) -> Option<(Key, String)> {
    let metadata = &pod.metadata;
    let pipeline = metadata.labels.as_ref()?.get(PIPELINE_LABEL)?.clone();
    let key = (metadata.namespace.clone()?, pipeline);
    Some((key, metadata.name.clone()?))
}

fn insert(pods: &mut Pods, pod: &Pod) {
    let Some((key, name)) = identity(pod) else {
        return;
    };
    let seen = SeenPod {
        sidecar: pods::sidecar(pod),
        worker: pods::worker(pod),
        obstacle: obstacle_of_pod(pod),
    };
    pods.entry(key).or_default().insert(name, seen);
}

fn remove(pods: &mut Pods, pod: &Pod) {
    let Some((key, name)) = identity(pod) else {
        return;
    };
    let Some(of_pipeline) = pods.get_mut(&key) else {
        return;
    };
    of_pipeline.remove(&name);
    if of_pipeline.is_empty() {
        pods.remove(&key);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;

    /// An index that knows that there is no pod.
    pub(in crate::operator::caches) fn listed() -> PodIndex {
        let index = PodIndex::default();
        index.take(watcher::Event::Init, &mut Pods::new());
        index.take(watcher::Event::InitDone, &mut Pods::new());
        index
    }

    fn pod(pipeline: &str, name: &str, address: Option<&str>) -> Pod {
        let status = json!({"name": "metrics", "ready": true, "restartCount": 0, "image": "", "imageID": ""});
        serde_json::from_value(json!({
            "metadata": {
                "name": name, "namespace": "shop", "labels": {"cio.dev/pipeline": pipeline},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "e", "uid": "1",
                    "controller": true,
                }],
            },
            "status": {"podIP": address, "initContainerStatuses": [status]},
        }))
        .expect("a Pod")
    }

    #[test]
    fn the_oldest_pods_sidecar_comes_first_whatever_its_name() {
        let index = PodIndex::default();
        for (name, address, second) in [("a", "10.0.0.1", 200), ("b", "10.0.0.2", 100)] {
            let mut pod = pod("events", name, Some(address));
            let created = Timestamp::from_second(second).expect("a time");
            pod.metadata.creation_timestamp = Some(Time(created));
            index.take(watcher::Event::Apply(pod), &mut Pods::new());
        }
        let sidecars = index.of("shop", "events").sidecars;
        let found: Vec<_> = sidecars.iter().map(|it| it.ip().to_string()).collect();
        assert_eq!(found, ["10.0.0.2", "10.0.0.1"]);
    }

    #[test]
    fn the_pods_of_a_pipeline_are_known_until_they_are_gone() {
        let index = PodIndex::default();
        let mut listing = Pods::new();
        let mut take = |event| index.take(event, &mut listing);
        take(watcher::Event::Init);
        take(watcher::Event::InitApply(pod(
            "events",
            "a",
            Some("10.0.0.1"),
        )));
        assert_eq!(index.of("shop", "events"), Reachable::default());
        take(watcher::Event::InitDone);
        assert!(*index.listed.borrow());
        take(watcher::Event::Apply(pod("events", "b", Some("10.0.0.2"))));
        take(watcher::Event::Apply(pod("other", "c", Some("10.0.0.3"))));
        let sidecars = |pipeline| index.of("shop", pipeline).sidecars.len();
        assert_eq!((sidecars("events"), sidecars("other")), (2, 1));
        take(watcher::Event::Apply(pod("events", "a", None)));
        take(watcher::Event::Delete(pod("other", "c", None)));
        assert_eq!((sidecars("events"), sidecars("other")), (1, 0));
        assert_eq!(index.read().len(), 1);
    }
}
