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
    /// Its sidecar, where it can be asked.
    pub(in crate::adapter) sidecar: Option<Sidecar>,
}

/// A sidecar that can be asked: it is ready, its pod is not terminating, and a `ReplicaSet` made the
/// pod: not every one with our label is a worker. They compare as they are to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sidecar {
    /// The pod is not ready. It may be its worker alone; of a node that is gone the control plane
    /// says so within a minute, and leaves the containers ready in the list for minutes more.
    is_doubtful: bool,
    /// When the pod was made: one that is new has compared nothing yet.
    created: Option<Timestamp>,
    address: SocketAddr,
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

/// A pod's sidecar, if it can be asked.
pub fn sidecar(pod: &Pod) -> Option<Sidecar> {
    if is_terminating(pod) || !made_by_replica_set(pod) || !sidecar_is_ready(pod) {
        return None;
    }
    Some(Sidecar {
        is_doubtful: !is_ready(pod),
        created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
        address: SocketAddr::new(address(pod)?, port(pod)),
    })
}

/// The sidecars in the order in which they are asked: the oldest first, those of pods that are not
/// ready after the others.
pub fn in_turn(sidecars: impl Iterator<Item = Sidecar>) -> Vec<SocketAddr> {
    let mut sidecars: Vec<_> = sidecars.collect();
    sidecars.sort_unstable();
    sidecars.iter().map(|sidecar| sidecar.address).collect()
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

/// Whether the pod's condition says so; one without the condition counts as ready.
fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut conditions = status
        .and_then(|status| status.conditions.as_ref())
        .into_iter()
        .flatten();
    let ready = conditions.find(|condition| condition.type_ == "Ready");
    ready.is_none_or(|condition| condition.status == "True")
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
        let asked = in_turn(pod.sidecar.into_iter());
        assert_eq!(asked, ["10.244.0.7:9200".parse().unwrap()]);
    }

    #[test]
    fn the_oldest_pods_sidecar_is_asked_first_and_that_of_a_pod_that_is_not_ready_last() {
        let of = |last: u8, second: i64, ready: Option<&str>| {
            let pod = trimmed(|pod| {
                let created = Timestamp::from_second(second).unwrap();
                pod["metadata"]["creationTimestamp"] = json!(created.to_string());
                pod["status"]["podIP"] = json!(format!("10.0.0.{last}"));
                if let Some(ready) = ready {
                    let ready = json!({"type": "Ready", "status": ready});
                    let others = json!({"type": "Initialized", "status": "False"});
                    pod["status"]["conditions"] = json!([others, ready]);
                }
            });
            pod.sidecar.unwrap()
        };
        let found = in_turn(
            [
                of(1, 10, Some("False")),
                of(2, 400, Some("True")),
                of(3, 100, None),
                of(4, 20, Some("Unknown")),
                of(5, 300, Some("True")),
            ]
            .into_iter(),
        );
        let found: Vec<_> = found.iter().map(|it| it.ip().to_string()).collect();
        assert_eq!(found, [3, 5, 2, 1, 4].map(|last| format!("10.0.0.{last}")));
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
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 2] = [
            (
                |p| p["spec"]["initContainers"][0]["ports"] = json!([]),
                "10.244.0.7:9100",
            ),
            (
                |p| p["status"]["podIP"] = json!("fd00::7"),
                "[fd00::7]:9200",
            ),
        ];
        for (change, address) in cases {
            let asked = in_turn(trimmed(change).sidecar.into_iter());
            assert_eq!(asked, [address.parse().unwrap()]);
        }
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
