//! Steps 5 and 6: what was found → status (pure), and its one write (IO), if the picture changed.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{DeserializeGuard, ObjectMeta};
use kube::{Api, Client};
use serde_json::json;

use super::FIELD_MANAGER;
use super::apply::Applied;
use super::conditions::{self, Situation};
use super::dereference::Observed;
use super::error::Error;
use super::validate::{Refusal, Validated};
use crate::api::{CioPipeline, CioPipelineStatus};

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
    let findings = conditions::judge(&Situation {
        spec: &pipeline.spec,
        deployment: &applied.deployment,
        hpa: applied.hpa.as_ref(),
        obstacle: observed.obstacle.as_ref(),
        depth: &observed.depth,
        delivery: &observed.delivery,
        before: &before.conditions,
    });
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

/// The status of a pipeline that is not acted on: the numbers stay, the summary says why.
pub(super) fn refused(
    before: &CioPipelineStatus,
    generation: Option<i64>,
    refusal: &Refusal,
    now: Timestamp,
) -> CioPipelineStatus {
    let findings = conditions::refused(refusal);
    let mut conditions = conditions::stamp(findings, &before.conditions, generation, now);
    let kept = before
        .conditions
        .iter()
        .filter(|old| conditions.iter().all(|new| new.type_ != old.type_));
    let kept: Vec<_> = kept.cloned().collect();
    conditions.extend(kept);
    CioPipelineStatus {
        observed_generation: generation,
        conditions,
        ..before.clone()
    }
}

fn desired_replicas(hpa: &HorizontalPodAutoscaler) -> Option<i32> {
    Some(hpa.status.as_ref()?.desired_replicas)
}

/// What a write would tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing that is worth one.
    None,
    /// Numbers, and words with numbers in them: pods come and go, or the queue became empty, or is
    /// no longer, or doubled or halved. Also that the HPA has begun to act, as every HPA does
    /// some seconds after it was made, and `RateLimited`: with a thousand queues in motion at the
    /// edge of their limit it turns somewhere at every moment. `Delivering` likewise, while Customer.io
    /// answers now and then: but for what it refuses. And steps on the way to `Ready`, which tells
    /// them all when it turns.
    Numbers,
    /// Anything else: a condition, another generation.
    Picture,
}

/// Queues of fewer jobs differ in nothing but in whether they are empty.
const FEW: i64 = 10;
/// Conditions whose message has numbers in it that move all the time.
const MOVING: [&str; 2] = [conditions::RATE_LIMITED, conditions::SCALING_ACTIVE];

/// What the other conditions come to.
const SUMMARY: [&str; 4] = ["Ready", "Reconciling", "Stalled", conditions::DEGRADED];

/// Pure: what `after` would tell somebody who knows `before`.
pub(super) fn worth_writing(before: &CioPipelineStatus, after: &CioPipelineStatus) -> News {
    if picture(before) != picture(after) {
        return News::Picture;
    }
    let moved = match (before.queue_depth, after.queue_depth) {
        (Some(before), Some(after)) => {
            let (less, more) = (before.min(after), before.max(after));
            less != more && (less == 0 || more >= less.max(FEW).saturating_mul(2))
        }
        (before, after) => before.is_some() != after.is_some(),
    };
    if moved || numbers(before) != numbers(after) {
        News::Numbers
    } else {
        News::None
    }
}

/// The status without numbers, without the words that have some in them, and without what turns
/// with the numbers or with an outage. Of a pipeline that is not ready the summary alone: it says
/// what is wrong.
fn picture(status: &CioPipelineStatus) -> CioPipelineStatus {
    let on_its_way = ready_of(status).is_some_and(|ready| ready.status != "True");
    let conditions = status
        .conditions
        .iter()
        .filter(|it| !on_its_way || SUMMARY.contains(&it.type_.as_str()))
        .filter(|it| it.type_ != conditions::RATE_LIMITED)
        .filter(|it| it.type_ != conditions::SCALING_ACTIVE || it.status == "False")
        .filter(|it| !turns_with_an_outage(it));
    let conditions = conditions.map(|condition| Condition {
        message: String::new(),
        ..condition.clone()
    });
    CioPipelineStatus {
        observed_generation: status.observed_generation,
        conditions: conditions.collect(),
        ..CioPipelineStatus::default()
    }
}

/// Whether a condition comes and goes with Customer.io's answers. `Degraded` is told where something
/// else is wrong.
fn turns_with_an_outage(condition: &Condition) -> bool {
    match condition.type_.as_str() {
        conditions::DELIVERING => condition.reason != conditions::CREDENTIALS_REFUSED,
        conditions::DEGRADED => {
            condition.status == "False" || conditions::OUTAGES.contains(&condition.reason.as_str())
        }
        _ => false,
    }
}

/// The status without what moves all the time.
fn numbers(status: &CioPipelineStatus) -> CioPipelineStatus {
    let mut status = status.clone();
    status.queue_depth = None;
    let moving = status
        .conditions
        .iter_mut()
        .filter(|condition| MOVING.contains(&condition.type_.as_str()));
    moving.for_each(|condition| condition.message.clear());
    status
}

/// Writes the status, whole: fields that are gone are removed.
pub(super) async fn write(
    client: &Client,
    metadata: &ObjectMeta,
    status: &CioPipelineStatus,
) -> Result<(), Error> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let api = Api::<DeserializeGuard<CioPipeline>>::namespaced(client.clone(), namespace);
    let patch = json!({
        "apiVersion": "cio.dev/v1alpha1",
        "kind": "CioPipeline",
        "metadata": {"name": name},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(name, &params, &Patch::Apply(&patch))
        .await
        .map(drop)
        .map_err(|source| Error::Write {
            what: "the status",
            source,
        })
}

/// `Ready`, if it reads differently than before: what an event should tell of. That the pods of a
/// new pipeline are not there yet is no news to whoever made it.
pub(super) fn changed_ready<'a>(
    before: &CioPipelineStatus,
    after: &'a CioPipelineStatus,
) -> Option<&'a Condition> {
    let ready = |status: &'a CioPipelineStatus| ready_of(status);
    let after = ready(after)?;
    let before = ready_of(before);
    if before.is_none() && after.reason == conditions::UNAVAILABLE {
        return None;
    }
    let before = before.map(|old| (old.status.as_str(), old.reason.as_str()));
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
    use super::super::conditions::Finding;
    use super::*;

    fn with_depth(depth: Option<i64>) -> CioPipelineStatus {
        CioPipelineStatus {
            queue_depth: depth,
            ..CioPipelineStatus::default()
        }
    }

    #[test]
    fn depth_is_news_when_the_picture_changed() {
        let cases = [
            (None, Some(0), News::Numbers),
            (Some(0), Some(1), News::Numbers),
            (Some(1), Some(0), News::Numbers),
            (Some(1), Some(9), News::None),
            (Some(19), Some(1), News::None),
            (Some(1), Some(20), News::Numbers),
            (Some(1000), Some(1100), News::None),
            (Some(1000), Some(1999), News::None),
            (Some(1000), Some(2000), News::Numbers),
            (Some(1000), Some(500), News::Numbers),
            (Some(1000), Some(501), News::None),
            (Some(0), Some(0), News::None),
            (Some(5), None, News::Numbers),
            (Some(i64::MAX), Some(i64::MAX), News::None),
        ];
        for (before, after, expected) in cases {
            let found = worth_writing(&with_depth(before), &with_depth(after));
            assert_eq!(found, expected, "{before:?} → {after:?}");
        }
    }

    #[test]
    fn replicas_generation_and_conditions_are_news_but_not_numbers_that_move() {
        let with = |kind, status, reason: &str, message: &str| {
            let finding = Finding::new(kind, status, reason, message);
            let mut status = with_depth(Some(10));
            status.conditions =
                conditions::stamp(vec![finding], &[], Some(1), Timestamp::UNIX_EPOCH);
            status
        };
        let before = with("Ready", "True", "PodsReady", "2 of 2 pods are ready");
        let changed = |change: fn(&mut CioPipelineStatus)| {
            let mut after = before.clone();
            change(&mut after);
            after
        };
        let limited = with("RateLimited", "True", "LimitReached", "79 of 80");
        let waiting = with("ScalingActive", "Unknown", "AwaitingHpa", "");
        for (before, after, expected) in [
            (&before, before.clone(), News::None),
            (&before, changed(|it| it.replicas = Some(3)), News::Numbers),
            (
                &before,
                changed(|it| it.ready_replicas = Some(3)),
                News::Numbers,
            ),
            (
                &before,
                changed(|it| it.desired_replicas = Some(3)),
                News::Numbers,
            ),
            (
                &before,
                changed(|it| it.observed_generation = Some(2)),
                News::Picture,
            ),
            (
                &before,
                with("Ready", "False", "PodsReady", ""),
                News::Picture,
            ),
            (
                &before,
                with("Ready", "True", "PodsReady", "3 of 3"),
                News::Numbers,
            ),
            (
                &waiting,
                with("ScalingActive", "True", "ValidMetricFound", ""),
                News::Numbers,
            ),
            (
                &waiting,
                with("ScalingActive", "False", "FailedGetPodsMetric", ""),
                News::Picture,
            ),
            (
                &limited,
                with("RateLimited", "True", "LimitReached", "78 of 80"),
                News::None,
            ),
            (
                &limited,
                with("RateLimited", "True", "LimitLowered", "50 of 50"),
                News::Numbers,
            ),
            (
                &limited,
                with("RateLimited", "False", "LimitNotReached", ""),
                News::Numbers,
            ),
        ] {
            assert_eq!(worth_writing(before, &after), expected, "{after:?}");
        }
    }

    #[test]
    fn steps_on_the_way_to_ready_are_told_with_the_numbers_and_what_is_wrong_at_once() {
        let with = |readings: &[(&'static str, &'static str, &str)]| {
            let findings = readings
                .iter()
                .map(|(kind, status, reason)| Finding::new(kind, status, *reason, ""));
            let stamped =
                conditions::stamp(findings.collect(), &[], Some(1), Timestamp::UNIX_EPOCH);
            CioPipelineStatus {
                conditions: stamped,
                ..CioPipelineStatus::default()
            }
        };
        let starting = ("Ready", "False", conditions::UNAVAILABLE);
        let ready = ("Ready", "True", "PodsReady");
        let (fine, bad) = (("Degraded", "False", "Ok"), ("Degraded", "True", "Down"));
        let (rolling, rolled) = (("Progressing", "True", "R"), ("Progressing", "False", "C"));
        for (before, after, expected) in [
            (
                [starting, fine, rolling],
                [starting, fine, rolling],
                News::None,
            ),
            (
                [starting, fine, rolling],
                [starting, fine, rolled],
                News::Numbers,
            ),
            (
                [starting, fine, rolling],
                [starting, bad, rolling],
                News::Picture,
            ),
            (
                [starting, fine, rolled],
                [ready, fine, rolled],
                News::Picture,
            ),
            ([ready, fine, rolling], [ready, fine, rolled], News::Picture),
        ] {
            let found = worth_writing(&with(&before), &with(&after));
            assert_eq!(found, expected, "{before:?} → {after:?}");
        }
        let first = worth_writing(&with(&[]), &with(&[starting, fine]));
        assert_eq!(first, News::Picture);
    }

    #[test]
    fn an_outage_of_customer_io_is_told_with_the_numbers_and_refused_credentials_at_once() {
        let with = |delivering: (&'static str, &str), degraded: (&'static str, &str)| {
            let findings = vec![
                Finding::new("Ready", "True", "PodsReady", ""),
                Finding::new("Degraded", degraded.0, degraded.1, ""),
                Finding::new("Delivering", delivering.0, delivering.1, ""),
            ];
            CioPipelineStatus {
                conditions: conditions::stamp(findings, &[], Some(1), Timestamp::UNIX_EPOCH),
                ..CioPipelineStatus::default()
            }
        };
        let fine = with(("True", "NotRefused"), ("False", "AsExpected"));
        let outage = |reason| with(("False", reason), ("True", reason));
        let down = outage("CustomerIoUnavailable");
        let blind = with(("True", "NotRefused"), ("True", "DepthUnknown"));
        let both = with(("False", "CustomerIoUnavailable"), ("True", "DepthUnknown"));
        let silent = with(("Unknown", "WorkerUnreachable"), ("False", "AsExpected"));
        for (before, after, expected) in [
            (&fine, &fine, News::None),
            (&fine, &down, News::Numbers),
            (&down, &fine, News::Numbers),
            (&fine, &outage("UnexpectedAnswers"), News::Numbers),
            (&down, &outage("UnexpectedAnswers"), News::Numbers),
            (&fine, &silent, News::Numbers),
            (&fine, &outage("CredentialsRefused"), News::Picture),
            (&outage("CredentialsRefused"), &fine, News::Picture),
            (&down, &outage("CredentialsRefused"), News::Picture),
            // What else is wrong is told at once, also beside an outage.
            (&down, &blind, News::Picture),
            (&blind, &both, News::Numbers),
            (&fine, &blind, News::Picture),
        ] {
            let found = worth_writing(before, after);
            assert_eq!(found, expected, "{before:?} → {after:?}");
        }
    }

    #[test]
    fn an_event_tells_how_ready_reads_but_not_that_a_new_pipeline_starts() {
        let with = |readings: &[(&'static str, &str)]| {
            let findings = readings
                .iter()
                .map(|(status, reason)| Finding::new("Ready", status, *reason, ""));
            let stamped =
                conditions::stamp(findings.collect(), &[], Some(1), Timestamp::UNIX_EPOCH);
            CioPipelineStatus {
                conditions: stamped,
                ..CioPipelineStatus::default()
            }
        };
        let starting = with(&[("False", "MinimumReplicasUnavailable")]);
        let missing = with(&[("False", "SecretMissing")]);
        let ready = with(&[("True", "PodsReady")]);
        for (before, after, expected) in [
            (&with(&[]), &starting, false),
            (&with(&[]), &missing, true),
            (&starting, &ready, true),
            (&ready, &ready, false),
            (&ready, &starting, true),
        ] {
            let told = changed_ready(before, after).is_some();
            assert_eq!(told, expected, "{before:?} → {after:?}");
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
        let expected = ["Ready", "Reconciling", "Stalled", "Degraded", "Available"];
        assert_eq!(kinds, expected);
        assert_eq!(status.conditions[0].reason, "NameTaken");
        assert_eq!(status.observed_generation, Some(2));
    }
}
