//! Pure: what was observed → conditions, one function a type, [`judge`] for all of them.
//!
//! In the sense of kstatus: `Reconciling` and `Stalled` are abnormal while True, and `Ready` agrees
//! with both. A condition's message may hold numbers that move all the time only where
//! `status::worth_writing` passes over them.

mod delivering;
mod limit;
mod obstacle;
mod pods;
mod scaling;
mod summary;
#[cfg(test)]
mod tests;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::delivery::Delivery;
use super::validate::Refusal;
use crate::adapter::reading::{Reading, Unknown};
use crate::api::CioPipelineSpec;

pub(super) use delivering::{CREDENTIALS_REFUSED, DELIVERING, OUTAGES};
pub(super) use limit::RATE_LIMITED;
pub(super) use obstacle::{Obstacle, of_pod as obstacle_of_pod};
pub(super) use pods::wanted_pods;
pub(super) use scaling::{SCALING_ACTIVE, is_depth};
pub(super) use summary::{DEGRADED, UNAVAILABLE};

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

/// What conditions are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) spec: &'a CioPipelineSpec,
    pub(super) deployment: &'a Deployment,
    pub(super) hpa: Option<&'a HorizontalPodAutoscaler>,
    /// What keeps a pod from starting.
    pub(super) obstacle: Option<&'a Obstacle>,
    pub(super) depth: &'a Result<Reading, Unknown>,
    pub(super) delivery: &'a Delivery,
    /// The conditions as they were: some turn later than they turned before.
    pub(super) before: &'a [Condition],
}

impl Situation<'_> {
    fn was(&self, kind: &str) -> Option<&Condition> {
        self.before.iter().find(|condition| condition.type_ == kind)
    }
}

/// Every condition of a pipeline that was applied, the summary first.
pub(super) fn judge(situation: &Situation<'_>) -> Vec<Finding> {
    if situation.spec.suspend {
        return suspended(situation.deployment);
    }
    let refused = obstacle::of_deployment(situation.deployment);
    let obstacle = situation.obstacle.into_iter().chain(&refused).min();
    let rolling = pods::is_rolling(situation.deployment);
    let parts = summary::Parts {
        available: pods::available(
            situation.deployment,
            situation.spec.autoscaling.min_replicas,
            obstacle.filter(|_| summary::was_available(situation)),
        ),
        progressing: pods::progressing(situation.deployment, obstacle),
        rolling,
        obstacle: obstacle.cloned(),
        metrics: scaling::metrics_available(situation, rolling),
        delivering: delivering::delivering(situation.delivery, &situation.spec.workspace),
    };
    let mut findings = summary::summary(situation, &parts);
    findings.extend([
        parts.available,
        parts.progressing,
        parts.metrics,
        scaling::scaling_active(situation.hpa),
        limit::rate_limited(situation),
        parts.delivering,
    ]);
    findings
}

/// What changes for a pipeline that is not acted on.
pub(super) fn refused(refusal: &Refusal) -> Vec<Finding> {
    let (reason, message) = (refusal.reason(), refusal.to_string());
    vec![
        Finding::new("Ready", "False", reason, message.clone()),
        Finding::new("Reconciling", "False", reason, "it waits to be put right"),
        Finding::new("Stalled", "True", reason, message.clone()),
        Finding::new(DEGRADED, "True", reason, message),
    ]
}

fn suspended(deployment: &Deployment) -> Vec<Finding> {
    let message = "spec.suspend is true: nothing is delivered, the queue is kept";
    let because = |kind, status, message| Finding::new(kind, status, "Suspended", message);
    vec![
        because("Ready", "True", message),
        because("Reconciling", "False", message),
        because("Stalled", "False", message),
        because(DEGRADED, "False", message),
        because("Available", "False", "there are no pods"),
        pods::progressing(deployment, None),
        because("MetricsAvailable", "Unknown", "there is no pod to ask"),
        because(
            SCALING_ACTIVE,
            "False",
            "the HPA is removed while suspended",
        ),
        because(RATE_LIMITED, "Unknown", "there is no pod to ask"),
        because(DELIVERING, "False", message),
    ]
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
