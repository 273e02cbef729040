//! `MetricsAvailable` and `ScalingActive`: what the HPA gets, and whether it acts.

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition,
};

use super::Finding;
use crate::adapter::reading::{Reading, Unknown};

/// The HPA's own condition, and ours.
pub(in crate::operator) const SCALING_ACTIVE: &str = "ScalingActive";

/// `MetricsAvailable`: does the HPA get what it scales on?
pub(super) fn metrics_available(
    depth: &Result<Reading, Unknown>,
    hpa: Option<&HorizontalPodAutoscaler>,
) -> Finding {
    if let Err(unknown) = depth {
        let message = format!("{unknown}; the number of pods is held");
        return Finding::new("MetricsAvailable", "False", unknown.reason(), message);
    }
    match hpa.and_then(inactive) {
        Some((reason, message)) => {
            let message = format!(
                "{message}; the number of pods is held{}",
                where_to_look(&reason)
            );
            Finding::new("MetricsAvailable", "False", reason, message)
        }
        None => Finding::new(
            "MetricsAvailable",
            "True",
            "DepthKnown",
            "the queue's depth is known and the HPA is active",
        ),
    }
}

/// What serves the metric that the HPA does not get.
fn where_to_look(reason: &str) -> &'static str {
    match reason {
        "FailedGetPodsMetric" | "FailedGetExternalMetric" => {
            ": look at the adapter and at what `kubectl get apiservices` says of the metrics' groups"
        }
        "FailedGetResourceMetric" => ": look at metrics-server",
        _ => "",
    }
}

/// `ScalingActive`: the HPA's own condition.
pub(super) fn scaling_active(hpa: Option<&HorizontalPodAutoscaler>) -> Finding {
    let Some(found) = hpa.and_then(active) else {
        let message = "the HPA has not looked at the workers yet";
        return Finding::new(SCALING_ACTIVE, "Unknown", "AwaitingHpa", message);
    };
    let (status, message) = match found.status.as_str() {
        "True" => (
            "True",
            "the HPA decides about the number of pods".to_owned(),
        ),
        "False" => ("False", found.message.clone().unwrap_or_default()),
        _ => ("Unknown", found.message.clone().unwrap_or_default()),
    };
    let reason = found.reason.clone().filter(|reason| !reason.is_empty());
    Finding::new(
        SCALING_ACTIVE,
        status,
        reason.unwrap_or_else(|| "HpaGivesNone".to_owned()),
        message,
    )
}

/// The HPA's own word that it cannot act. At 0 replicas it says so too, and means no harm.
fn inactive(hpa: &HorizontalPodAutoscaler) -> Option<(String, String)> {
    let found = active(hpa).filter(|found| found.status == "False")?;
    let reason = found
        .reason
        .clone()
        .filter(|reason| reason != "ScalingDisabled")?;
    Some((reason, found.message.clone().unwrap_or_default()))
}

fn active(hpa: &HorizontalPodAutoscaler) -> Option<&HorizontalPodAutoscalerCondition> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|found| found.type_ == SCALING_ACTIVE)
}
