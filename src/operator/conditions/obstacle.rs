//! What keeps pods from starting: its reason, and a sentence that names it and says what to do.
//!
//! The sentences do not change while the obstacle does not: they stand in a status.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::pods::deployment_condition;

/// Why pods do not start, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::operator) enum Cause {
    /// A container names a Secret, or a key of one, that is not there.
    SecretMissing,
    /// The node has no such image and cannot pull it.
    ImageUnavailable,
    /// The namespace's quota has no room for the pod.
    QuotaExceeded,
    /// The API server refuses the pod for something else, as a policy.
    PodsRefused,
    /// No node takes the pod. A cluster that adds nodes may be about to.
    Unschedulable,
    /// A container runs, or ends again and again, and is not ready.
    Unready,
}

impl Cause {
    fn reason(self) -> &'static str {
        match self {
            Self::SecretMissing => "SecretMissing",
            Self::ImageUnavailable => "ImageUnavailable",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::PodsRefused => "PodsRefused",
            Self::Unschedulable => "Unschedulable",
            Self::Unready => "Unready",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::SecretMissing => "create the Secret or correct its name",
            Self::ImageUnavailable => {
                "correct the image's name, push it, or give its registry's key in \
                 spec.worker.template.imagePullSecrets"
            }
            Self::QuotaExceeded => {
                "raise the ResourceQuota, or lower spec.autoscaling.maxReplicas or the \
                 containers' resources"
            }
            Self::PodsRefused => "change the pod's template or the policy that refuses it",
            Self::Unschedulable => {
                "add nodes, or change the pod's resources, nodeSelector or tolerations"
            }
            Self::Unready => "its log and `kubectl describe pod` say why",
        }
    }

    /// It may pass without anybody's doing.
    pub(super) fn is_transient(self) -> bool {
        matches!(self, Self::Unschedulable | Self::Unready)
    }

    /// The new pods cannot come, whoever else runs.
    pub(super) fn is_certain(self) -> bool {
        matches!(self, Self::SecretMissing | Self::ImageUnavailable)
    }
}

/// A cause and what it concerns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::operator) struct Obstacle {
    pub(super) cause: Cause,
    about: String,
}

impl Obstacle {
    fn new(cause: Cause, about: impl Into<String>) -> Self {
        Self {
            cause,
            about: about.into(),
        }
    }

    pub(super) fn reason(&self) -> &'static str {
        self.cause.reason()
    }

    pub(super) fn message(&self) -> String {
        format!("{}; {}", self.about, self.cause.remedy())
    }
}

/// What keeps this pod from starting.
pub(in crate::operator) fn of_pod(pod: &Pod) -> Option<Obstacle> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let containers = init.chain(status.container_statuses.iter().flatten());
    let found = containers.filter_map(|container| waits(name, container));
    found.min().or_else(|| unschedulable(name, pod))
}

fn waits(pod: &str, container: &ContainerStatus) -> Option<Obstacle> {
    let state = container.state.as_ref()?;
    if state.running.is_some() && !container.ready {
        return Some(unready(pod, container));
    }
    let waiting = state.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    match waiting.reason.as_deref()? {
        "CreateContainerConfigError" if message.to_lowercase().contains("secret") => {
            Some(Obstacle::new(
                Cause::SecretMissing,
                format!("a pod cannot start: {message}"),
            ))
        }
        // The kubelet changes between the first two, and their messages are of the moment.
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => {
            let (container, image) = (&container.name, &container.image);
            let about = format!(
                "the container {container} of the pod {pod} cannot get its image {image}: \
                 `kubectl describe pod {pod}` says why"
            );
            Some(Obstacle::new(Cause::ImageUnavailable, about))
        }
        "CrashLoopBackOff" => Some(unready(pod, container)),
        _ => None,
    }
}

fn unready(pod: &str, container: &ContainerStatus) -> Obstacle {
    let container = &container.name;
    let about = format!("the container {container} of the pod {pod} is not ready");
    Obstacle::new(Cause::Unready, about)
}

fn unschedulable(name: &str, pod: &Pod) -> Option<Obstacle> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled"
            && condition.status == "False"
            && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    let message = found.message.as_deref().unwrap_or_default();
    // What follows is about preemption, and long.
    let message = message.split(" preemption:").next().unwrap_or_default();
    let about = format!(
        "no node takes the pod {name}: {}",
        message.trim_end_matches('.')
    );
    Some(Obstacle::new(Cause::Unschedulable, about))
}

/// What the API server says to the pods that the Deployment's `ReplicaSet` would make.
pub(super) fn of_deployment(deployment: &Deployment) -> Option<Obstacle> {
    let found = deployment_condition(deployment, "ReplicaFailure")
        .filter(|found| found.status == "True")?;
    let message = found.message.as_deref().unwrap_or_default();
    // What comes before has the name of a pod that never was, another one at each try.
    let message = message
        .split_once(" is forbidden: ")
        .map_or(message, |(_, rest)| rest);
    let cause = if message.contains("exceeded quota") || message.contains("failed quota") {
        Cause::QuotaExceeded
    } else {
        Cause::PodsRefused
    };
    let about = format!("the API server refuses further pods: {message}");
    Some(Obstacle::new(cause, about))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Option<Obstacle> {
        let mut pod = json!({"metadata": {"name": "events-worker-a"}});
        pod["status"] = status;
        of_pod(&serde_json::from_value(pod).expect("a Pod"))
    }

    fn waiting(reason: &str, message: &str) -> Option<Obstacle> {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        let status = json!({
            "name": "worker", "ready": false, "restartCount": 0, "image": "shop/worker:2",
            "imageID": "", "state": state,
        });
        pod(json!({"containerStatuses": [status]}))
    }

    #[test]
    fn what_a_container_waits_for_is_named_with_the_remedy() {
        let config = "CreateContainerConfigError";
        for (reason, message, expected) in [
            (
                config,
                "secret \"customerio\" not found",
                Some((
                    "SecretMissing",
                    ["secret \"customerio\" not found", "create the Secret"],
                )),
            ),
            (config, "configmap \"x\" not found", None),
            ("ContainerCreating", "", None),
            (
                "ErrImagePull",
                "denied",
                Some((
                    "ImageUnavailable",
                    ["shop/worker:2", "the pod events-worker-a"],
                )),
            ),
            (
                "InvalidImageName",
                "",
                Some((
                    "ImageUnavailable",
                    ["the container worker", "imagePullSecrets"],
                )),
            ),
        ] {
            let found = waiting(reason, message);
            let found_reason = found.as_ref().map(Obstacle::reason);
            assert_eq!(found_reason, expected.map(|(reason, _)| reason), "{reason}");
            let message = found.map(|found| found.message()).unwrap_or_default();
            for word in expected.map(|(_, words)| words).into_iter().flatten() {
                assert!(message.contains(word), "{message}");
            }
        }
        assert_eq!(
            waiting("ErrImagePull", "not found"),
            waiting("ImagePullBackOff", "Back-off"),
            "a status is not written for the kubelet's back-off"
        );
    }

    #[test]
    fn a_container_that_hangs_or_ends_again_and_again_is_named() {
        let container = |ready: bool, state: Value| {
            json!({
                "name": "metrics", "ready": ready, "restartCount": 0, "image": "i",
                "imageID": "", "state": state,
            })
        };
        let of = |container: Value| pod(json!({"initContainerStatuses": [container]}));
        assert_eq!(of(container(true, json!({"running": {}}))), None);
        let crash = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        for state in [json!({"running": {}}), crash] {
            let found = of(container(false, state)).expect("an obstacle");
            assert_eq!(found.cause, Cause::Unready);
            let message = found.message();
            let named = "the container metrics of the pod events-worker-a is not ready; its log";
            assert!(message.starts_with(named), "{message}");
        }
    }

    #[test]
    fn a_pod_that_no_node_takes_is_named_without_the_words_on_preemption() {
        let message = "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible.";
        let scheduled = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": message,
        });
        let found = pod(json!({"conditions": [scheduled]})).expect("an obstacle");
        assert_eq!(found.reason(), "Unschedulable");
        let message = found.message();
        assert!(message.contains("Insufficient cpu; add nodes"), "{message}");
    }

    #[test]
    fn what_the_api_server_says_to_further_pods_is_the_same_at_each_try() {
        let refused = |pod: &str, words: &str| {
            let message = format!("pods \"{pod}\" is forbidden: {words}");
            let deployment = json!({"status": {"conditions": [{
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                "message": message,
            }]}});
            of_deployment(&serde_json::from_value(deployment).expect("a Deployment"))
        };
        let quota = "exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2";
        let first = refused("events-worker-x1", quota).expect("an obstacle");
        assert_eq!(Some(&first), refused("events-worker-x2", quota).as_ref());
        assert_eq!(first.reason(), "QuotaExceeded");
        assert!(first.message().contains("exceeded quota: few"));
        let policy = refused("a", "violates PodSecurity \"restricted:latest\"");
        assert_eq!(policy.as_ref().map(Obstacle::reason), Some("PodsRefused"));
    }
}
