//! Pure: what was observed → conditions, one function a type.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::adapter::reading::{Reading, Unknown};

/// A condition before it has a time: type, status, reason, message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Finding {
    pub(super) fn new(
        kind: &'static str,
        status: &'static str,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// `Available`: are there enough ready pods?
pub(super) fn available(deployment: &Deployment) -> Finding {
    let ready = deployment
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas)
        .unwrap_or(0);
    match deployment_condition(deployment, "Available") {
        Some(found) if found.status == "True" => Finding::new(
            "Available",
            "True",
            "MinimumReplicasAvailable",
            format!("{ready} pods are ready"),
        ),
        Some(found) => Finding::new(
            "Available",
            "False",
            found
                .reason
                .clone()
                .unwrap_or_else(|| "PodsNotReady".to_owned()),
            format!(
                "{ready} pods are ready: {}",
                found.message.clone().unwrap_or_default()
            ),
        ),
        None => Finding::new("Available", "False", "PodsNotReady", "no pod is ready yet"),
    }
}

/// `Progressing`: is a rollout under way, and does it get on?
pub(super) fn progressing(deployment: &Deployment) -> Finding {
    let generation = deployment.metadata.generation;
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let updated = status.updated_replicas.unwrap_or(0);
    let stuck = deployment_condition(deployment, "Progressing")
        .filter(|found| found.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    if let Some(found) = stuck {
        let message = found.message.clone().unwrap_or_default();
        return Finding::new("Progressing", "False", "ProgressDeadlineExceeded", message);
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
        Finding::new(
            "Progressing",
            "True",
            "RollingOut",
            format!("{updated} of {wanted} pods are up to date"),
        )
    }
}

/// `MetricsAvailable`: does the HPA get the queue's depth?
pub(super) fn metrics_available(
    depth: &Result<Reading, Unknown>,
    hpa: Option<&HorizontalPodAutoscaler>,
) -> Finding {
    if let Err(unknown) = depth {
        let message = format!("{unknown}; the number of pods is held");
        return Finding::new("MetricsAvailable", "False", unknown.reason(), message);
    }
    match hpa.and_then(failed_metric) {
        Some((reason, message)) => Finding::new("MetricsAvailable", "False", reason, message),
        None => Finding::new(
            "MetricsAvailable",
            "True",
            "DepthKnown",
            "the queue's depth is read and served",
        ),
    }
}

/// The HPA's own word that it does not get our metric. CPU metrics are another server's.
fn failed_metric(hpa: &HorizontalPodAutoscaler) -> Option<(String, String)> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    let inactive = conditions
        .iter()
        .find(|c| c.type_ == "ScalingActive" && c.status == "False")?;
    let reason = inactive.reason.clone()?;
    let ours = matches!(
        reason.as_str(),
        "FailedGetPodsMetric" | "FailedGetExternalMetric"
    );
    ours.then(|| (reason, inactive.message.clone().unwrap_or_default()))
}

/// A container that cannot start for want of something it names, such as a Secret.
pub(super) fn missing_secret(pods: &[Pod]) -> Option<String> {
    pods.iter()
        .filter_map(|pod| pod.status.as_ref())
        .find_map(|status| {
            let init = status.init_container_statuses.iter().flatten();
            init.chain(status.container_statuses.iter().flatten())
                .find_map(waits_for_config)
        })
}

fn waits_for_config(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let config = waiting.reason.as_deref() == Some("CreateContainerConfigError");
    let message = waiting.message.clone().unwrap_or_default();
    let about_a_secret = message.contains("secret") || message.contains("Secret");
    (config && about_a_secret).then_some(message)
}

/// Findings → conditions: the time of the last transition stays unless the status flips.
pub(super) fn stamp(
    findings: Vec<Finding>,
    before: &[Condition],
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let stamped = findings.into_iter().map(|finding| {
        let old = before.iter().find(|old| old.type_ == finding.kind);
        let since = match old {
            Some(old) if old.status == finding.status => old.last_transition_time.clone(),
            _ => Time(now),
        };
        Condition {
            type_: finding.kind.to_owned(),
            status: finding.status.to_owned(),
            reason: finding.reason,
            message: finding.message,
            last_transition_time: since,
            observed_generation: generation,
        }
    });
    stamped.collect()
}

fn deployment_condition<'a>(
    deployment: &'a Deployment,
    kind: &str,
) -> Option<&'a DeploymentCondition> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}
