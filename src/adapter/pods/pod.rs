//! A pod as the API server gives it → the little that a question needs. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::PIPELINE_LABEL;

/// The name of the sidecar among the init containers, and of its port.
const SIDECAR: &str = "metrics";
/// The worker's container, and the port of its pages: only our own image has them.
const WORKER: &str = "worker";
const WORKER_PORT: &str = "worker-metrics";
/// Where the sidecar listens when its container names no port.
const DEFAULT_PORT: u16 = 9100;

/// A worker pod, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapter) struct WorkerPod {
    /// Its name.
    pub(in crate::adapter) name: String,
    /// The pipeline that its label names.
    pub(in crate::adapter) pipeline: String,
    /// All its labels, for selectors.
    pub(in crate::adapter) labels: BTreeMap<String, String>,
    /// Running and not terminating: the HPA counts it, so it has a share.
    pub(in crate::adapter) counts: bool,
    /// Neither terminating nor over: one of the Deployment's `status.replicas`, also before it runs.
    pub(in crate::adapter) is_replica: bool,
    /// Where its sidecar can be asked: it is ready, the pod is not terminating, and a
    /// `ReplicaSet` made it.
    pub(in crate::adapter) sidecar: Option<SocketAddr>,
    /// When it was made.
    pub(in crate::adapter) created: Option<Timestamp>,
}

/// The pod with its namespace; none when it belongs to no pipeline.
pub(super) fn trim(pod: &Pod) -> Option<(String, WorkerPod)> {
    let labels = pod.metadata.labels.clone()?;
    let trimmed = WorkerPod {
        name: pod.metadata.name.clone()?,
        pipeline: labels.get(PIPELINE_LABEL)?.clone(),
        labels,
        counts: is_running(pod) && !is_terminating(pod),
        is_replica: !is_over(pod) && !is_terminating(pod),
        sidecar: sidecar(pod),
        created: created(pod),
    };
    Some((pod.metadata.namespace.clone()?, trimmed))
}

fn is_running(pod: &Pod) -> bool {
    phase(pod) == Some("Running")
}

fn is_over(pod: &Pod) -> bool {
    matches!(phase(pod), Some("Succeeded" | "Failed"))
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Where a pod's sidecar can be asked, if it can. A pod is asked only when a `ReplicaSet` made it:
/// not every pod with our label is a worker.
pub fn sidecar(pod: &Pod) -> Option<SocketAddr> {
    if is_terminating(pod) || !made_by_replica_set(pod) || !sidecar_is_ready(pod) {
        return None;
    }
    Some(SocketAddr::new(address(pod)?, port(pod)))
}

/// When a pod was made.
pub fn created(pod: &Pod) -> Option<Timestamp> {
    Some(pod.metadata.creation_timestamp.as_ref()?.0)
}

/// The sidecars in the order in which they are asked: one of a pod that is new has compared
/// nothing yet.
pub fn oldest_first(
    sidecars: impl Iterator<Item = (Option<Timestamp>, SocketAddr)>,
) -> Vec<SocketAddr> {
    let mut sidecars: Vec<_> = sidecars.collect();
    sidecars.sort_by_key(|(created, _)| *created);
    sidecars.into_iter().map(|(_, address)| address).collect()
}

/// Where a pod's worker can be asked, if it can: it is our own, and it runs. Whether it is ready
/// does not matter.
pub fn worker(pod: &Pod) -> Option<SocketAddr> {
    if is_terminating(pod) || !is_running(pod) || !made_by_replica_set(pod) {
        return None;
    }
    let containers = &pod.spec.as_ref()?.containers;
    let worker = containers
        .iter()
        .find(|container| container.name == WORKER)?;
    Some(SocketAddr::new(
        address(pod)?,
        named_port(worker, WORKER_PORT)?,
    ))
}

fn address(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

fn made_by_replica_set(pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    controllers.any(|owner| owner.kind == "ReplicaSet" && owner.api_version == "apps/v1")
}

fn sidecar_is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut containers = status
        .and_then(|status| status.init_container_statuses.as_ref())
        .into_iter()
        .flatten();
    containers.any(|container| container.name == SIDECAR && container.ready)
}

fn port(pod: &Pod) -> u16 {
    let containers = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.init_containers.as_ref());
    let sidecar = containers
        .into_iter()
        .flatten()
        .find(|container| container.name == SIDECAR);
    sidecar
        .and_then(|sidecar| named_port(sidecar, SIDECAR))
        .unwrap_or(DEFAULT_PORT)
}

fn named_port(container: &Container, name: &str) -> Option<u16> {
    let mut ports = container.ports.iter().flatten();
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A running worker pod whose sidecar is ready.
    pub(crate) fn pod() -> Value {
        json!({
            "metadata": {
                "name": "e-1",
                "namespace": "shop",
                "labels": {"cio.dev/pipeline": "events"},
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "e", "uid": "1",
                    "controller": true,
                }],
            },
            "spec": {
                "containers": [],
                "initContainers": [{
                    "name": "metrics",
                    "ports": [{"name": "metrics", "containerPort": 9200}],
                }],
            },
            "status": {
                "phase": "Running",
                "podIP": "10.244.0.7",
                "initContainerStatuses": [{
                    "name": "metrics", "ready": true, "restartCount": 0, "image": "", "imageID": "",
                }],
            },
        })
    }

    pub(crate) fn with_name(mut pod: Value, namespace: &str, pipeline: &str, name: &str) -> Pod {
        pod["metadata"]["namespace"] = json!(namespace);
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["labels"][PIPELINE_LABEL] = json!(pipeline);
        serde_json::from_value(pod).unwrap()
    }

    fn trimmed(change: impl FnOnce(&mut Value)) -> WorkerPod {
        let mut pod = pod();
        change(&mut pod);
        trim(&serde_json::from_value(pod).unwrap()).unwrap().1
    }

    #[test]
    fn a_running_pod_counts_and_its_sidecar_can_be_asked() {
        let pod = trimmed(|_| {});
        assert!(pod.counts);
        assert_eq!(pod.sidecar, Some("10.244.0.7:9200".parse().unwrap()));
    }

    #[test]
    fn the_sidecar_of_the_oldest_pod_is_asked_first() {
        let address = |last: u8| SocketAddr::from(([10, 0, 0, last], 9100));
        let of = |name: u8, second| (Timestamp::from_second(second).ok(), address(name));
        let found = oldest_first([of(1, 300), of(2, 100), of(3, 200), of(4, 100)].into_iter());
        assert_eq!(found, [2, 4, 3, 1].map(address));
    }

    #[test]
    fn phase_and_deletion_decide_what_counts_and_readiness_what_is_asked() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change, bool, bool); 8] = [
            (
                "pending",
                |p| p["status"]["phase"] = json!("Pending"),
                false,
                true,
            ),
            (
                "failed",
                |p| p["status"]["phase"] = json!("Failed"),
                false,
                true,
            ),
            (
                "terminating",
                |p| p["metadata"]["deletionTimestamp"] = json!("2026-11-24T10:00:00Z"),
                false,
                false,
            ),
            (
                "sidecar not ready",
                |p| p["status"]["initContainerStatuses"][0]["ready"] = json!(false),
                true,
                false,
            ),
            (
                "no sidecar",
                |p| p["status"]["initContainerStatuses"] = json!([]),
                true,
                false,
            ),
            (
                "no address",
                |p| p["status"]["podIP"] = json!(null),
                true,
                false,
            ),
            (
                "made by hand",
                |p| p["metadata"]["ownerReferences"] = json!([]),
                true,
                false,
            ),
            (
                "owned but not controlled",
                |p| p["metadata"]["ownerReferences"][0]["controller"] = json!(false),
                true,
                false,
            ),
        ];
        for (name, change, counts, asked) in cases {
            let pod = trimmed(change);
            assert_eq!(
                (pod.counts, pod.sidecar.is_some()),
                (counts, asked),
                "{name}"
            );
        }
    }

    #[test]
    fn the_port_is_the_sidecars_own_or_9100() {
        let pod = trimmed(|p| p["spec"]["initContainers"][0]["ports"] = json!([]));
        assert_eq!(pod.sidecar, Some("10.244.0.7:9100".parse().unwrap()));
        let pod = trimmed(|p| p["status"]["podIP"] = json!("fd00::7"));
        assert_eq!(pod.sidecar, Some("[fd00::7]:9200".parse().unwrap()));
    }

    #[test]
    fn a_worker_is_asked_where_it_is_our_own_and_runs() {
        type Change = fn(&mut Value);
        let ours =
            json!({"name": "worker", "ports": [{"name": "worker-metrics", "containerPort": 9101}]});
        let cases: [(&str, Change, Option<&str>); 4] = [
            ("ours", |_| {}, Some("10.244.0.7:9101")),
            (
                "another image",
                |p| p["spec"]["containers"][0]["ports"] = json!([]),
                None,
            ),
            ("pending", |p| p["status"]["phase"] = json!("Pending"), None),
            (
                "made by hand",
                |p| p["metadata"]["ownerReferences"] = json!([]),
                None,
            ),
        ];
        for (name, change, expected) in cases {
            let mut pod = pod();
            pod["spec"]["containers"] = json!([ours]);
            change(&mut pod);
            let found = worker(&serde_json::from_value(pod).unwrap());
            assert_eq!(
                found.map(|it| it.to_string()).as_deref(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn a_pod_of_no_pipeline_is_left_out() {
        let mut pod = pod();
        pod["metadata"]["labels"] = json!({"app": "other"});
        assert_eq!(trim(&serde_json::from_value(pod).unwrap()), None);
    }
}
