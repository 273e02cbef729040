//! Pure: a pipeline's pods → the ones that count, and the sidecars that can be asked.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;

/// The name of the sidecar container and of its port.
const SIDECAR: &str = "metrics";

/// Whether the HPA counts a pod: Running, and not on its way out.
pub fn counts(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// Whether a pod belongs to a Deployment: only those are asked, so that no pod that merely carries
/// our label can speak for a pipeline.
pub fn of_replica_set(pod: &Pod) -> bool {
    pod.owner_references().iter().any(|owner| {
        owner.kind == "ReplicaSet"
            && owner.controller == Some(true)
            && owner.api_version.starts_with("apps/")
    })
}

/// The address of a pod's sidecar, if that is ready.
pub fn sidecar(pod: &Pod) -> Option<SocketAddr> {
    let status = pod.status.as_ref()?;
    let ready = status
        .init_container_statuses
        .iter()
        .flatten()
        .any(|container| container.name == SIDECAR && container.ready);
    let address: IpAddr = status.pod_ip.as_ref()?.parse().ok()?;
    let spec = pod.spec.as_ref()?;
    let port = spec.init_containers.iter().flatten().find_map(port)?;
    (ready && counts(pod) && of_replica_set(pod)).then(|| SocketAddr::new(address, port))
}

fn port(container: &Container) -> Option<u16> {
    let ports = container.ports.as_ref()?;
    let port = ports
        .iter()
        .find(|port| port.name.as_deref() == Some(SIDECAR))?;
    (container.name == SIDECAR).then(|| u16::try_from(port.container_port).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "a", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true}
            ]},
            "spec": {"containers": [], "initContainers": [
                {"name": "metrics", "ports": [{"name": "metrics", "containerPort": 9100}]}
            ]},
            "status": {"phase": "Running", "podIP": "10.0.0.7", "initContainerStatuses": [
                {"name": "metrics", "ready": true, "image": "", "imageID": "", "restartCount": 0}
            ]}
        });
        change(&mut pod);
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn a_running_pod_counts_and_its_ready_sidecar_is_asked() {
        let pod = pod(|_| ());
        assert!(counts(&pod));
        assert_eq!(sidecar(&pod), Some("10.0.0.7:9100".parse().unwrap()));
    }

    #[test]
    fn a_pod_that_is_not_running_or_on_its_way_out_does_not_count() {
        let pending = pod(|pod| pod["status"]["phase"] = json!("Pending"));
        let leaving =
            pod(|pod| pod["metadata"]["deletionTimestamp"] = json!("2026-11-24T00:00:00Z"));
        for pod in [pending, leaving] {
            assert!(!counts(&pod));
            assert_eq!(sidecar(&pod), None);
        }
    }

    #[test]
    fn a_sidecar_that_is_not_ready_or_a_pod_of_nobody_is_not_asked() {
        let unready = pod(|pod| pod["status"]["initContainerStatuses"][0]["ready"] = json!(false));
        let orphan = pod(|pod| pod["metadata"]["ownerReferences"] = json!([]));
        for pod in [unready, orphan] {
            assert!(counts(&pod));
            assert_eq!(sidecar(&pod), None);
        }
    }
}
