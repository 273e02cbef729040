//! `MetricsAvailable` and `ScalingActive`: what the HPA gets, and whether it acts.

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, MetricStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Finding, Situation};
use crate::adapter::reading::Reading;
use crate::api::{CioPipelineSpec, MetricSource, WhenSaturated};
use crate::operator::build::QUEUE_DEPTH_METRIC;

/// What the HPA gets.
const METRICS_AVAILABLE: &str = "MetricsAvailable";
/// The HPA's own condition, and ours.
pub(in crate::operator) const SCALING_ACTIVE: &str = "ScalingActive";
/// The HPA's words for a metric of pods, and for an External one, that has no value.
const NO_PODS_METRIC: &str = "FailedGetPodsMetric";
const NO_EXTERNAL_METRIC: &str = "FailedGetExternalMetric";

/// `MetricsAvailable`: does the HPA get what it scales on?
pub(super) fn metrics_available(situation: &Situation<'_>, rolling: bool) -> Finding {
    let reading = match situation.depth {
        Ok(reading) => reading,
        Err(unknown) => {
            let message = format!("{unknown}; the number of pods is held");
            return Finding::new(METRICS_AVAILABLE, "False", unknown.reason(), message);
        }
    };
    let unmet = situation
        .hpa
        .and_then(|hpa| inactive(hpa).or_else(|| without_depth(hpa)));
    match unmet {
        Some((reason, _))
            if reason == NO_EXTERNAL_METRIC && rolling && holds(situation.spec, reading) =>
        {
            let message = "more pods could do nothing now (whenSaturated: Hold), and the HPA cannot tell \
                           those that replace others from more of them: it is told no value until all \
                           are replaced, and the number of pods is held";
            Finding::new(METRICS_AVAILABLE, "Unknown", "HeldDuringRollout", message)
        }
        Some((reason, message)) => {
            let remedy = remedy(&reason).map(|it| format!(": {it}"));
            let message = format!("{message}{}", remedy.unwrap_or_default());
            Finding::new(METRICS_AVAILABLE, "False", reason, message)
        }
        None => situation
            .hpa
            .and_then(|hpa| still_without(hpa, situation.was(METRICS_AVAILABLE)))
            .unwrap_or_else(|| {
                let message = "the queue's depth is known and the HPA is active";
                Finding::new(METRICS_AVAILABLE, "True", "DepthKnown", message)
            }),
    }
}

/// An active HPA that had nothing to compare says nothing of the depth: what it lacked before, it lacks
/// still.
fn still_without(hpa: &HorizontalPodAutoscaler, before: Option<&Condition>) -> Option<Finding> {
    active(hpa).filter(|found| found.status == "True")?;
    let read = hpa.status.as_ref()?.current_metrics.as_deref();
    if read.is_some_and(|read| !read.is_empty()) {
        return None;
    }
    let before = before.filter(|it| it.status == "False" && it.reason == lack(hpa))?;
    let (reason, message) = (before.reason.clone(), before.message.clone());
    Some(Finding::new(METRICS_AVAILABLE, "False", reason, message))
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
    let message = found.message.as_deref().unwrap_or_default();
    Some((reason, format!("{message}; the number of pods is held")))
}

/// An HPA that got CPU but not the depth says that it is active, as long as CPU asks for no fewer
/// pods. Of a metric that failed it leaves an entry without a type; where it had nothing to compare
/// (it is new, or the pods are fewer than the least or more than the most) it leaves none at all.
fn without_depth(hpa: &HorizontalPodAutoscaler) -> Option<(String, String)> {
    active(hpa).filter(|found| found.status == "True")?;
    let read = hpa.status.as_ref()?.current_metrics.as_ref()?;
    if read.is_empty() || read.iter().any(is_depth) {
        return None;
    }
    let message = format!(
        "the HPA does not get {QUEUE_DEPTH_METRIC} and decides by CPU alone; no pod is removed"
    );
    Some((lack(hpa).to_owned(), message))
}

/// The HPA's word for the depth that it does not get.
fn lack(hpa: &HorizontalPodAutoscaler) -> &'static str {
    let wanted = hpa.spec.as_ref().and_then(|spec| spec.metrics.as_ref());
    let is_external = wanted
        .into_iter()
        .flatten()
        .any(|metric| metric.type_ == "External");
    if is_external {
        NO_EXTERNAL_METRIC
    } else {
        NO_PODS_METRIC
    }
}

/// Whether it is the depth of the queue that an HPA read.
pub(in crate::operator) fn is_depth(read: &MetricStatus) -> bool {
    let metric = match read.type_.as_str() {
        "Pods" => read.pods.as_ref().map(|it| &it.metric),
        "External" => read.external.as_ref().map(|it| &it.metric),
        _ => None,
    };
    metric.is_some_and(|metric| metric.name == QUEUE_DEPTH_METRIC)
}

/// What to do when an API that the HPA asks gives none. The usual reason why that lasts is that it is
/// somebody else's, which is never changed from here.
fn remedy(reason: &str) -> Option<&'static str> {
    match reason {
        NO_PODS_METRIC => Some(
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
