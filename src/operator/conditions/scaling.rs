//! `MetricsAvailable` and `ScalingActive`: what the HPA gets, and whether it acts.

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition,
};

use super::{Finding, Situation};
use crate::adapter::reading::Reading;
use crate::api::{CioPipelineSpec, MetricSource, WhenSaturated};

/// The HPA's own condition, and ours.
pub(in crate::operator) const SCALING_ACTIVE: &str = "ScalingActive";
/// The HPA's word for an External metric that has no value.
const NO_EXTERNAL_METRIC: &str = "FailedGetExternalMetric";

/// `MetricsAvailable`: does the HPA get what it scales on?
pub(super) fn metrics_available(situation: &Situation<'_>, rolling: bool) -> Finding {
    let reading = match situation.depth {
        Ok(reading) => reading,
        Err(unknown) => {
            let message = format!("{unknown}; the number of pods is held");
            return Finding::new("MetricsAvailable", "False", unknown.reason(), message);
        }
    };
    match situation.hpa.and_then(inactive) {
        Some((reason, _))
            if reason == NO_EXTERNAL_METRIC && rolling && holds(situation.spec, reading) =>
        {
            let message = "more pods could do nothing now (whenSaturated: Hold), and the HPA cannot tell \
                           those that replace others from more of them: it is told no value until all \
                           are replaced, and the number of pods is held";
            Finding::new("MetricsAvailable", "Unknown", "HeldDuringRollout", message)
        }
        Some((reason, message)) => {
            let remedy = remedy(&reason).map(|it| format!(": {it}"));
            let message = format!(
                "{message}; the number of pods is held{}",
                remedy.unwrap_or_default()
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

/// Whether the adapter tells no total while pods are replaced.
fn holds(spec: &CioPipelineSpec, reading: &Reading) -> bool {
    let autoscaling = &spec.autoscaling;
    autoscaling.when_saturated == WhenSaturated::Hold
        && autoscaling.metric_source == MetricSource::External
        && reading.limit.is_some_and(|limit| limit.is_saturated())
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

/// What to do when an API that the HPA asks gives none. The usual reason why that lasts is that it is
/// somebody else's, which is never changed from here.
fn remedy(reason: &str) -> Option<&'static str> {
    match reason {
        "FailedGetPodsMetric" => Some(
            "look at the adapter, and with cio doctor at whose custom.metrics.k8s.io is; its owner has to \
             serve cio_queue_depth, or set spec.autoscaling.metricSource: External",
        ),
        NO_EXTERNAL_METRIC => Some(
            "whoever owns external.metrics.k8s.io (kubectl get apiservice \
             v1beta1.external.metrics.k8s.io) has to serve cio_queue_depth with the label pipeline; where \
             nobody does, install the chart with metricsApi.external=true, or set \
             spec.autoscaling.metricSource: Pods",
        ),
        "FailedGetResourceMetric" => Some("look at metrics-server"),
        _ => None,
    }
}

fn active(hpa: &HorizontalPodAutoscaler) -> Option<&HorizontalPodAutoscalerCondition> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|found| found.type_ == SCALING_ACTIVE)
}
