//! `Available` and `Progressing`.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};

use super::Finding;
use super::obstacle::Obstacle;
use super::summary::UNAVAILABLE;

/// No pod became ready for as long as the Deployment allows.
pub(super) const STUCK: &str = "ProgressDeadlineExceeded";

/// `spec.replicas`, which means 1 where it is not set.
pub(in crate::operator) fn wanted_pods(deployment: &Deployment) -> i32 {
    deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

/// `Available`: are there enough ready pods? Enough is the minimum: while the HPA adds pods, the
/// Deployment's own condition is False until the last of them is ready, and nothing is wrong.
/// A rollout never takes a ready pod away before another one is ready, so that pods of any template count.
///
/// `lost` is what keeps a pod of a pipeline that was available from being ready.
pub(super) fn available(
    deployment: &Deployment,
    min_replicas: i32,
    lost: Option<&Obstacle>,
) -> Finding {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = wanted_pods(deployment);
    let ready = status.ready_replicas.unwrap_or(0);
    let message = format!("{ready} of {wanted} pods are ready");
    if ready >= wanted.min(min_replicas).max(1) {
        Finding::new("Available", "True", "MinimumReplicasAvailable", message)
    } else {
        let message = because(message, lost);
        Finding::new("Available", "False", UNAVAILABLE, message)
    }
}

/// `Progressing`: is a rollout under way, and does it get on?
pub(super) fn progressing(deployment: &Deployment, obstacle: Option<&Obstacle>) -> Finding {
    let generation = deployment.metadata.generation;
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = wanted_pods(deployment);
    let updated = status.updated_replicas.unwrap_or(0);
    let stuck = deployment_condition(deployment, "Progressing")
        .filter(|found| found.reason.as_deref() == Some(STUCK));
    if let Some(found) = stuck {
        let message = found.message.clone().unwrap_or_default();
        return Finding::new("Progressing", "False", STUCK, because(message, obstacle));
    }
    let complete = status.observed_generation >= generation
        && updated == wanted
        && status.replicas.unwrap_or(0) == wanted;
    if complete {
        Finding::new(
            "Progressing",
            "False",
            "RolloutComplete",
            "every pod is up to date",
        )
    } else {
        let message = format!("{updated} of {wanted} pods are up to date");
        // A pod that starts is not ready, and that is no news.
        let obstacle = obstacle.filter(|obstacle| !obstacle.cause.is_transient());
        Finding::new(
            "Progressing",
            "True",
            "RollingOut",
            because(message, obstacle),
        )
    }
}

fn because(message: String, obstacle: Option<&Obstacle>) -> String {
    match obstacle {
        Some(obstacle) => format!("{message}: {}", obstacle.message()),
        None => message,
    }
}

/// Whether pods of an older template are there still, or the newest is not looked at yet. Pods that
/// the HPA adds are no rollout.
pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let status = deployment.status.clone().unwrap_or_default();
    let pods = status.replicas.unwrap_or(0);
    status.observed_generation < deployment.metadata.generation
        || status.updated_replicas.unwrap_or(0) < pods.min(wanted_pods(deployment))
}

/// A condition of the Deployment's own.
pub(super) fn deployment_condition<'a>(
    deployment: &'a Deployment,
    kind: &str,
) -> Option<&'a DeploymentCondition> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}
