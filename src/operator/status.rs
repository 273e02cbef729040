//! Steps 5 and 6: what was found → status (pure), and its one write (IO), if the picture changed.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::FIELD_MANAGER;
use super::apply::Applied;
use super::conditions::{self, Finding};
use super::dereference::Observed;
use super::error::Error;
use super::validate::{Refusal, Validated};
use crate::api::{CioPipeline, CioPipelineSpec, CioPipelineStatus};

/// The status of a pipeline that was applied.
pub(super) fn compute(
    before: &CioPipelineStatus,
    generation: Option<i64>,
    pipeline: &Validated,
    observed: &Observed,
    applied: &Applied,
    now: Timestamp,
) -> CioPipelineStatus {
    let suspended = pipeline.spec.suspend;
    let deployed = applied.deployment.status.clone().unwrap_or_default();
    let findings = if suspended {
        suspended_findings(applied)
    } else {
        running_findings(&pipeline.spec, observed, applied)
    };
    CioPipelineStatus {
        observed_generation: generation,
        replicas: Some(deployed.replicas.unwrap_or(0)),
        ready_replicas: Some(deployed.ready_replicas.unwrap_or(0)),
        desired_replicas: applied
            .hpa
            .as_ref()
            .and_then(desired_replicas)
            .or(suspended.then_some(0)),
        queue_depth: match &observed.depth {
            Ok(reading) if !suspended => i64::try_from(reading.depth).ok(),
            _ => None,
        },
        conditions: conditions::stamp(findings, &before.conditions, generation, now),
    }
}

/// The status of a pipeline that is not acted on: the numbers stay, `Ready` says why.
pub(super) fn refused(
    before: &CioPipelineStatus,
    generation: Option<i64>,
    refusal: &Refusal,
    now: Timestamp,
) -> CioPipelineStatus {
    let ready = Finding::new("Ready", "False", refusal.reason(), refusal.to_string());
    let mut status = before.clone();
    let fresh = conditions::stamp(vec![ready], &before.conditions, generation, now);
    status
        .conditions
        .retain(|condition| condition.type_ != "Ready");
    status.conditions.splice(0..0, fresh);
    status.observed_generation = generation;
    status
}

fn running_findings(
    spec: &CioPipelineSpec,
    observed: &Observed,
    applied: &Applied,
) -> Vec<Finding> {
    let min_replicas = spec.autoscaling.min_replicas;
    let available = conditions::available(&applied.deployment, min_replicas);
    let progressing = conditions::progressing(&applied.deployment);
    let metrics = conditions::metrics_available(&observed.depth, applied.hpa.as_ref());
    let delivering = conditions::delivering(&observed.delivery, &spec.workspace);
    let ready = ready(&observed.pods, &available, &progressing, &delivering);
    vec![ready, available, progressing, metrics, delivering]
}

fn suspended_findings(applied: &Applied) -> Vec<Finding> {
    let message = "spec.suspend is true: nothing is delivered, the queue is kept";
    vec![
        Finding::new("Ready", "True", "Suspended", message),
        Finding::new("Available", "False", "Suspended", "there are no pods"),
        conditions::progressing(&applied.deployment),
        Finding::new(
            "MetricsAvailable",
            "Unknown",
            "Suspended",
            "there is no pod to ask",
        ),
        Finding::new("Delivering", "False", "Suspended", message),
    ]
}

/// The summary: what keeps jobs from being delivered, the most telling first.
fn ready(
    pods: &[Pod],
    available: &Finding,
    progressing: &Finding,
    delivering: &Finding,
) -> Finding {
    if let Some(message) = conditions::missing_secret(pods) {
        let message =
            format!("a pod cannot start: {message}; create the Secret or correct its name");
        return Finding::new("Ready", "False", "SecretMissing", message);
    }
    // Only the user can mend it. While Customer.io does not answer there is nothing to mend here:
    // `Delivering` says so.
    if delivering.reason == conditions::CREDENTIALS_REFUSED {
        let (reason, message) = (delivering.reason.clone(), delivering.message.clone());
        return Finding::new("Ready", "False", reason, message);
    }
    if progressing.reason == "ProgressDeadlineExceeded" {
        let message = progressing.message.clone();
        return Finding::new("Ready", "False", "ProgressDeadlineExceeded", message);
    }
    if available.status != "True" {
        let (reason, message) = (available.reason.clone(), available.message.clone());
        return Finding::new("Ready", "False", reason, message);
    }
    Finding::new("Ready", "True", "PodsReady", available.message.clone())
}

fn desired_replicas(hpa: &HorizontalPodAutoscaler) -> Option<i32> {
    Some(hpa.status.as_ref()?.desired_replicas)
}

/// Pure: is `after` worth a write? Depth moves all the time; it is written when the queue becomes
/// empty or stops being so, and when it doubled or halved. Everything else always is.
pub(super) fn worth_writing(before: &CioPipelineStatus, after: &CioPipelineStatus) -> bool {
    let without_depth = |status: &CioPipelineStatus| {
        let mut status = status.clone();
        status.queue_depth = None;
        status
    };
    if without_depth(before) != without_depth(after) {
        return true;
    }
    match (before.queue_depth, after.queue_depth) {
        (Some(before), Some(after)) => {
            let (less, more) = (before.min(after), before.max(after));
            less != more && (less == 0 || more >= less.saturating_mul(2))
        }
        (before, after) => before.is_some() != after.is_some(),
    }
}

/// Writes the status, whole: fields that are gone are removed.
pub(super) async fn write(
    client: &Client,
    pipeline: &CioPipeline,
    status: &CioPipelineStatus,
) -> Result<(), Error> {
    let namespace = pipeline.namespace().unwrap_or_default();
    let api = Api::<CioPipeline>::namespaced(client.clone(), &namespace);
    let patch = json!({
        "apiVersion": "cio.dev/v1alpha1",
        "kind": "CioPipeline",
        "metadata": {"name": pipeline.name_any()},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&pipeline.name_any(), &params, &Patch::Apply(&patch))
        .await
        .map(drop)
        .map_err(|source| Error::Write {
            what: "the status",
            source,
        })
}

/// `Ready`, if it reads differently than before: what an event should tell of.
pub(super) fn changed_ready<'a>(
    before: &CioPipelineStatus,
    after: &'a CioPipelineStatus,
) -> Option<&'a Condition> {
    let ready = |status: &'a CioPipelineStatus| ready_of(status);
    let after = ready(after)?;
    let before = ready_of(before).map(|old| (old.status.as_str(), old.reason.as_str()));
    (before != Some((after.status.as_str(), after.reason.as_str()))).then_some(after)
}

fn ready_of(status: &CioPipelineStatus) -> Option<&Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_depth(depth: Option<i64>) -> CioPipelineStatus {
        CioPipelineStatus {
            queue_depth: depth,
            ..CioPipelineStatus::default()
        }
    }

    #[test]
    fn depth_is_written_when_the_picture_changed() {
        let cases = [
            (None, Some(0), true),
            (Some(0), Some(1), true),
            (Some(1), Some(0), true),
            (Some(1000), Some(1100), false),
            (Some(1000), Some(1999), false),
            (Some(1000), Some(2000), true),
            (Some(1000), Some(500), true),
            (Some(1000), Some(501), false),
            (Some(0), Some(0), false),
            (Some(5), None, true),
        ];
        for (before, after, expected) in cases {
            let found = worth_writing(&with_depth(before), &with_depth(after));
            assert_eq!(found, expected, "{before:?} → {after:?}");
        }
    }

    #[test]
    fn anything_but_depth_is_written() {
        let before = with_depth(Some(10));
        let after = CioPipelineStatus {
            replicas: Some(3),
            ..before.clone()
        };
        assert!(worth_writing(&before, &after));
    }

    #[test]
    fn ready_says_what_keeps_jobs_from_being_delivered_and_only_the_user_can_mend() {
        let finding = |status, reason: &str| Finding::new("", status, reason, "");
        let rolled_out = finding("False", "RolloutComplete");
        let stuck = finding("False", "ProgressDeadlineExceeded");
        let enough = finding("True", "MinimumReplicasAvailable");
        let few = finding("False", "MinimumReplicasUnavailable");
        let delivering = finding("True", "NotRefused");
        let refused = finding("False", "CredentialsRefused");
        let down = finding("False", "CustomerIoUnavailable");
        for (available, progressing, delivering, expected) in [
            (&enough, &rolled_out, &delivering, ("True", "PodsReady")),
            (&enough, &rolled_out, &down, ("True", "PodsReady")),
            (
                &enough,
                &rolled_out,
                &refused,
                ("False", "CredentialsRefused"),
            ),
            (&few, &stuck, &refused, ("False", "CredentialsRefused")),
            (
                &few,
                &rolled_out,
                &down,
                ("False", "MinimumReplicasUnavailable"),
            ),
        ] {
            let found = ready(&[], available, progressing, delivering);
            assert_eq!((found.status, found.reason.as_str()), expected);
        }
    }

    #[test]
    fn a_refusal_keeps_the_other_conditions_and_says_why() {
        let now = Timestamp::from_second(50).expect("a time");
        let available = Finding::new("Available", "True", "MinimumReplicasAvailable", "");
        let mut before = with_depth(Some(7));
        before.conditions = conditions::stamp(vec![available], &[], Some(1), now);
        let refusal = Refusal::NameTaken {
            kind: "Deployment",
            name: "events-worker".to_owned(),
        };
        let status = refused(&before, Some(2), &refusal, now);
        let kinds: Vec<&str> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
        assert_eq!(kinds, ["Ready", "Available"]);
        assert_eq!(status.conditions[0].reason, "NameTaken");
        assert_eq!(status.observed_generation, Some(2));
    }
}
