//! Pure: what was observed → conditions, one function a type.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::adapter::circuit::{Delivery, Refused};
use crate::adapter::reading::{Reading, Unknown};
use crate::api::pipeline::Workspace;

/// Why `Delivering` is False, and with it `Ready`: Customer.io does not know site id and key.
pub(super) const CREDENTIALS_REFUSED: &str = "CredentialsRefused";

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

/// `spec.replicas`, which means 1 where it is not set.
pub(super) fn wanted_pods(deployment: &Deployment) -> i32 {
    deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

/// `Available`: are there enough ready pods? Enough is the minimum: while the HPA adds pods, the
/// Deployment's own condition is False until the last of them is ready, and nothing is wrong.
pub(super) fn available(deployment: &Deployment, min_replicas: i32) -> Finding {
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = wanted_pods(deployment);
    let ready = status.ready_replicas.unwrap_or(0);
    let seen = status.observed_generation >= deployment.metadata.generation;
    let message = format!("{ready} of {wanted} pods are ready");
    if seen && ready >= wanted.min(min_replicas).max(1) {
        Finding::new("Available", "True", "MinimumReplicasAvailable", message)
    } else {
        Finding::new("Available", "False", "MinimumReplicasUnavailable", message)
    }
}

/// `Progressing`: is a rollout under way, and does it get on?
pub(super) fn progressing(deployment: &Deployment) -> Finding {
    let generation = deployment.metadata.generation;
    let status = deployment.status.clone().unwrap_or_default();
    let wanted = wanted_pods(deployment);
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
        Some((reason, message)) => Finding::new("MetricsAvailable", "False", reason, message),
        None => Finding::new(
            "MetricsAvailable",
            "True",
            "DepthKnown",
            "the queue's depth is known and the HPA is active",
        ),
    }
}

/// The HPA's own word that it cannot act. At 0 replicas it says so too, and means no harm.
fn inactive(hpa: &HorizontalPodAutoscaler) -> Option<(String, String)> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    let found = conditions
        .iter()
        .find(|c| c.type_ == "ScalingActive" && c.status == "False")?;
    let reason = found
        .reason
        .clone()
        .filter(|reason| reason != "ScalingDisabled")?;
    Some((reason, found.message.clone().unwrap_or_default()))
}

/// `Delivering`: does Customer.io take what the workers send?
pub(super) fn delivering(delivery: &Delivery, workspace: &Workspace) -> Finding {
    let secret = &workspace.credentials_secret_ref;
    let (status, reason, message) = match delivery {
        Delivery::Unhindered => (
            "True",
            "NotRefused",
            "no worker is kept from delivering by Customer.io".to_owned(),
        ),
        Delivery::Refused(Refused::Credentials) => (
            "False",
            CREDENTIALS_REFUSED,
            format!(
                "Customer.io refuses the credentials: no jobs are taken, and none uses an attempt; \
                 check {} and {} in the Secret {}, and spec.workspace.region",
                secret.site_id_key, secret.api_key_key, secret.name
            ),
        ),
        Delivery::Refused(Refused::Region) => (
            "False",
            CREDENTIALS_REFUSED,
            format!(
                "Customer.io redirects to another region: no jobs are taken, and none uses an \
                 attempt; check spec.workspace.region, and {} in the Secret {}",
                secret.site_id_key, secret.name
            ),
        ),
        Delivery::Unavailable => (
            "False",
            "CustomerIoUnavailable",
            "Customer.io does not answer as it should: no jobs are taken, and none uses an attempt; \
             it is tried now and then, and delivery goes on by itself"
                .to_owned(),
        ),
        Delivery::NotAsked => (
            "Unknown",
            "NoWorkerToAsk",
            "no worker of cio's own image runs; another image does not tell".to_owned(),
        ),
        Delivery::NoAnswer => (
            "Unknown",
            "WorkerUnreachable",
            "no worker answered on its port worker-metrics; a NetworkPolicy may be in the way of \
             the operator"
                .to_owned(),
        ),
    };
    Finding::new("Delivering", status, reason, message)
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::operator::test_support::pipeline;

    fn deployment(wanted: i32, ready: i32, observed: i64) -> Deployment {
        let value = json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": wanted, "selector": {}, "template": {}},
            "status": {"readyReplicas": ready, "observedGeneration": observed},
        });
        serde_json::from_value(value).expect("a Deployment")
    }

    #[test]
    fn available_means_the_minimum_and_not_every_pod_that_the_hpa_asked_for() {
        // wanted, ready, observed generation → status, with a minimum of 2
        let cases = [
            (2, 2, 2, "True"),
            (6, 2, 2, "True"),
            (6, 1, 2, "False"),
            (2, 0, 2, "False"),
            (1, 1, 2, "True"),
            (0, 0, 2, "False"),
            (2, 2, 1, "False"),
        ];
        for (wanted, ready, observed, status) in cases {
            let found = available(&deployment(wanted, ready, observed), 2);
            assert_eq!(
                found.status, status,
                "{ready} of {wanted}, generation {observed}"
            );
        }
    }

    #[test]
    fn whatever_keeps_the_hpa_from_acting_is_said_but_not_that_it_rests() {
        let reading = || {
            Ok(Reading {
                depth: 1,
                read_at: Timestamp::UNIX_EPOCH,
            })
        };
        let hpa = |status: &str, reason: &str| -> HorizontalPodAutoscaler {
            let condition = json!({"type": "ScalingActive", "status": status, "reason": reason});
            let status: Value = json!({"desiredReplicas": 2, "conditions": [condition]});
            serde_json::from_value(json!({ "status": status })).expect("an HPA")
        };
        for (status, reason, expected) in [
            ("True", "ValidMetricFound", "True"),
            ("False", "FailedGetPodsMetric", "False"),
            ("False", "FailedGetResourceMetric", "False"),
            ("False", "AmbiguousSelector", "False"),
            ("False", "ScalingDisabled", "True"),
        ] {
            let found = metrics_available(&reading(), Some(&hpa(status, reason)));
            assert_eq!(found.status, expected, "{reason}");
        }
        let unknown = metrics_available(&Err(Unknown::NoReadySidecar), None);
        assert_eq!(
            (unknown.status, unknown.reason.as_str()),
            ("False", "NoReadySidecar")
        );
    }

    #[test]
    fn a_secret_that_a_container_waits_for_is_named() {
        let pod = |reason: &str, message: &str| -> Pod {
            let state = json!({"waiting": {"reason": reason, "message": message}});
            let status = json!({"name": "worker", "ready": false, "restartCount": 0, "image": "", "imageID": "", "state": state});
            serde_json::from_value(json!({"status": {"containerStatuses": [status]}}))
                .expect("a Pod")
        };
        let missing = pod(
            "CreateContainerConfigError",
            "secret \"customerio\" not found",
        );
        let other = pod("ImagePullBackOff", "secret garden");
        assert_eq!(missing_secret(std::slice::from_ref(&other)), None);
        let found = missing_secret(&[other, missing]);
        assert_eq!(found.as_deref(), Some("secret \"customerio\" not found"));
    }

    #[test]
    fn what_customer_io_refuses_is_said_with_where_to_mend_it() {
        let workspace =
            "  workspace: {credentialsSecretRef: {name: keys, siteIdKey: s, apiKeyKey: k}}\n";
        let spec = pipeline(workspace).spec;
        for (delivery, expected, words) in [
            (Delivery::Unhindered, ("True", "NotRefused"), ""),
            (
                Delivery::Refused(Refused::Credentials),
                ("False", "CredentialsRefused"),
                "check s and k in the Secret keys",
            ),
            (
                Delivery::Refused(Refused::Region),
                ("False", "CredentialsRefused"),
                "check spec.workspace.region",
            ),
            (
                Delivery::Unavailable,
                ("False", "CustomerIoUnavailable"),
                "goes on by itself",
            ),
            (Delivery::NotAsked, ("Unknown", "NoWorkerToAsk"), ""),
            (Delivery::NoAnswer, ("Unknown", "WorkerUnreachable"), ""),
        ] {
            let found = delivering(&delivery, &spec.workspace);
            assert_eq!((found.status, found.reason.as_str()), expected);
            assert!(found.message.contains(words), "{}", found.message);
        }
    }

    #[test]
    fn a_transition_time_stays_unless_the_status_flips() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let finding = |status| Finding::new("Ready", status, "R", "m");
        let first = stamp(vec![finding("True")], &[], Some(1), at(1));
        let same = stamp(vec![finding("True")], &first, Some(2), at(2));
        let flipped = stamp(vec![finding("False")], &same, Some(2), at(3));
        let times = [&first, &same, &flipped].map(|c| c[0].last_transition_time.0);
        assert_eq!(times, [at(1), at(1), at(3)]);
        assert_eq!(same[0].observed_generation, Some(2));
    }
}
