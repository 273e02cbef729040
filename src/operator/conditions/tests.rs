mod limit;
mod scaling;

use serde_json::{Value, json};

use super::*;
use crate::adapter::limit::Limit;
use crate::operator::delivery::Refused;
use crate::operator::test_support::pipeline;

/// What was observed, to be changed at one place by each case; two pods that are fine.
struct Case {
    spec: CioPipelineSpec,
    deployment: Value,
    scaling_active: (&'static str, &'static str),
    /// What the HPA says it read, and of which type its metric of the depth is.
    current_metrics: Value,
    metric_source: &'static str,
    obstacle: Option<Obstacle>,
    depth: Result<Reading, Unknown>,
    delivery: Delivery,
    before: Vec<Condition>,
}

impl Case {
    fn fine() -> Self {
        Self {
            spec: pipeline("").spec,
            deployment: json!({
                "metadata": {"generation": 2},
                "spec": {"replicas": 2, "selector": {}, "template": {}},
                "status": {
                    "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": 2,
                },
            }),
            scaling_active: ("True", "ValidMetricFound"),
            current_metrics: json!([cpu(), depth()]),
            metric_source: "Pods",
            obstacle: None,
            depth: Ok(reading(0, None)),
            delivery: Delivery::Unhindered,
            before: Vec::new(),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::fine();
        change(&mut case);
        case
    }

    fn limited(mode: &str, depth: u64, used_ratio: f64) -> Self {
        let limit = Limit {
            requests_per_second: 80.0,
            used_ratio,
            circuit_open: false,
        };
        Self::with(|case| {
            case.spec = pipeline(&format!("  delivery: {{mode: {mode}}}\n")).spec;
            case.depth = Ok(reading(depth, Some(limit)));
        })
    }

    fn before(mut self, kind: &'static str, status: &'static str, reason: &str) -> Self {
        let finding = Finding::new(kind, status, reason, "as it was");
        self.before = stamp(vec![finding], &[], Some(1), Timestamp::UNIX_EPOCH);
        self
    }

    fn findings(&self) -> Vec<Finding> {
        let deployment = serde_json::from_value(self.deployment.clone()).expect("a Deployment");
        let (status, reason) = self.scaling_active;
        let active = json!({"type": "ScalingActive", "status": status, "reason": reason});
        let hpa = json!({
            "spec": {
                "maxReplicas": 9,
                "scaleTargetRef": {"kind": "Deployment", "name": "e"},
                "metrics": [{"type": "Resource"}, {"type": self.metric_source}],
            },
            "status": {
                "desiredReplicas": 2,
                "conditions": [active],
                "currentMetrics": self.current_metrics,
            },
        });
        let hpa: HorizontalPodAutoscaler = serde_json::from_value(hpa).expect("an HPA");
        judge(&Situation {
            spec: &self.spec,
            deployment: &deployment,
            hpa: Some(&hpa),
            obstacle: self.obstacle.as_ref(),
            depth: &self.depth,
            delivery: &self.delivery,
            before: &self.before,
        })
    }

    fn find(&self, kind: &str) -> Finding {
        let findings = self.findings();
        let found = findings.into_iter().find(|found| found.kind == kind);
        found.expect("a condition of every type")
    }
}

fn cpu() -> Value {
    json!({"type": "Resource", "resource": {"name": "cpu", "current": {}}})
}

fn depth() -> Value {
    let metric = json!({"name": "cio_queue_depth"});
    json!({"type": "Pods", "pods": {"metric": metric, "current": {}}})
}

fn reading(depth: u64, limit: Option<Limit>) -> Reading {
    Reading {
        depth,
        read_at: Timestamp::UNIX_EPOCH,
        limit,
    }
}

fn counts(updated: i32, ready: i32, pods: i32, wanted: i32) -> impl FnOnce(&mut Case) {
    move |case| {
        case.deployment["spec"]["replicas"] = json!(wanted);
        case.deployment["status"] = json!({
            "replicas": pods, "updatedReplicas": updated, "readyReplicas": ready,
            "observedGeneration": 2,
        });
    }
}

fn stuck(case: &mut Case) {
    counts(1, 1, 3, 2)(case);
    case.deployment["status"]["conditions"] = json!([{
        "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
    }]);
}

/// What it is called, what was observed, the picture, and `Ready`'s reason. The picture is `Ready`,
/// `Reconciling`, `Stalled`, `Degraded` and `Available`, by their first letters.
type Situations = Vec<(&'static str, Case, &'static str, &'static str)>;

const UNREADY: &str = "MinimumReplicasUnavailable";

fn on_the_way() -> Situations {
    vec![
        ("fine", Case::fine(), "TFFFT", "PodsReady"),
        (
            "the HPA adds pods",
            Case::with(counts(6, 2, 6, 6)),
            "TFFFT",
            "PodsReady",
        ),
        (
            "the HPA asks for pods",
            Case::with(counts(2, 2, 2, 6)),
            "TFFFT",
            "PodsReady",
        ),
        (
            "the HPA removes pods",
            Case::with(counts(6, 6, 6, 2)),
            "TFFFT",
            "PodsReady",
        ),
        (
            "a rollout",
            Case::with(counts(1, 2, 3, 2)),
            "UTFFT",
            "RollingOut",
        ),
        (
            "a rollout begins",
            Case::with(counts(0, 2, 2, 2)),
            "UTFFT",
            "RollingOut",
        ),
        (
            "the Deployment is not looked at",
            Case::with(|case| case.deployment["metadata"]["generation"] = json!(3)),
            "UTFFT",
            "RollingOut",
        ),
        (
            "the first pods start",
            Case::with(counts(2, 0, 2, 2)),
            "FTFFF",
            UNREADY,
        ),
        (
            "pods were lost",
            Case::with(counts(2, 1, 2, 2)).before("Available", "True", "MinimumReplicasAvailable"),
            "FTFTF",
            UNREADY,
        ),
        (
            "pods were lost a while ago",
            Case::with(counts(2, 1, 2, 2)).before("Degraded", "True", UNREADY),
            "FTFTF",
            UNREADY,
        ),
    ]
}

fn over_quota(case: &mut Case) {
    case.deployment["status"]["conditions"] = json!([{
        "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": "pods \"x\" is forbidden: exceeded quota: few",
    }]);
}

/// A worker that waits for this reason.
fn obstacle(reason: &str) -> Option<Obstacle> {
    let state =
        json!({"waiting": {"reason": reason, "message": "secret \"customerio\" not found"}});
    let status = json!({
        "name": "worker", "ready": false, "restartCount": 0, "image": "i", "imageID": "",
        "state": state,
    });
    let pod = json!({"status": {"containerStatuses": [status]}});
    obstacle_of_pod(&serde_json::from_value(pod).expect("a Pod"))
}

fn blind(case: &mut Case) {
    case.depth = Err(Unknown::DepthUnknown);
}

fn with_pods_that_do_not_start() -> Situations {
    vec![
        (
            "a Secret is missing",
            Case::with(|case| {
                counts(2, 0, 2, 2)(case);
                case.obstacle = obstacle("CreateContainerConfigError");
            }),
            "FTFTF",
            "SecretMissing",
        ),
        (
            "an image is missing, and the old pods run",
            Case::with(|case| {
                counts(1, 2, 3, 2)(case);
                case.obstacle = obstacle("ImagePullBackOff");
            }),
            "FTFTT",
            "ImageUnavailable",
        ),
        (
            "an image is missing for ten minutes",
            Case::with(|case| {
                stuck(case);
                case.obstacle = obstacle("ImagePullBackOff");
            }),
            "FFTTF",
            "ImageUnavailable",
        ),
        (
            "a quota has no room for the minimum",
            Case::with(|case| {
                counts(1, 1, 1, 2)(case);
                over_quota(case);
            }),
            "FTFTF",
            "QuotaExceeded",
        ),
        (
            "a quota has no room for what the HPA adds",
            Case::with(|case| {
                counts(2, 2, 2, 6)(case);
                over_quota(case);
            }),
            "TFFTT",
            "PodsReady",
        ),
    ]
}

fn with_something_wrong() -> Situations {
    let refused = Delivery::Refused(Refused::Credentials);
    vec![
        (
            "a rollout is stuck",
            Case::with(stuck),
            "FFTTF",
            "ProgressDeadlineExceeded",
        ),
        (
            "the credentials are refused",
            Case::with(|case| case.delivery = refused.clone()),
            "FFTTT",
            "CredentialsRefused",
        ),
        (
            "refused, and stuck",
            Case::with(|case| {
                stuck(case);
                case.delivery = refused.clone();
            }),
            "FFTTF",
            "CredentialsRefused",
        ),
        (
            "Customer.io is down",
            Case::with(|case| case.delivery = Delivery::Unavailable),
            "TFFTT",
            "PodsReady",
        ),
        (
            "the depth is unknown",
            Case::with(blind),
            "TFFTT",
            "PodsReady",
        ),
        (
            "it starts, and the depth is unknown",
            Case::with(|case| {
                counts(2, 0, 2, 2)(case);
                blind(case);
            }),
            "FTFFF",
            UNREADY,
        ),
        (
            "the HPA gets no metric",
            Case::with(|case| case.scaling_active = ("False", "FailedGetPodsMetric")),
            "TFFTT",
            "PodsReady",
        ),
        (
            "suspended",
            Case::with(|case| case.spec.suspend = true),
            "TFFFF",
            "Suspended",
        ),
    ]
}

#[test]
fn each_situation_has_its_picture_and_ready_agrees_with_it() {
    let all = [
        on_the_way(),
        with_pods_that_do_not_start(),
        with_something_wrong(),
    ];
    for (what, case, expected, reason) in all.into_iter().flatten() {
        let findings = case.findings();
        let letters: String = ["Ready", "Reconciling", "Stalled", "Degraded", "Available"]
            .map(|kind| case.find(kind).status.get(..1).unwrap_or_default())
            .concat();
        assert_eq!(letters, expected, "{what}: {findings:#?}");
        assert_eq!(case.find("Ready").reason, reason, "{what}");
        assert_eq!(findings.len(), 10, "{what}");
    }
}

#[test]
fn every_reason_is_in_pascal_case_and_every_message_says_something() {
    let refusal = Refusal::InvalidSpec("spec.queue.name must be given".to_owned());
    let refusals = super::refused(&refusal);
    assert_eq!(refusals[2].status, "True", "it is stalled");
    let unknown = Case::with(|case| case.depth = Err(Unknown::NoReadySidecar));
    let suspended = Case::with(|case| case.spec.suspend = true);
    for finding in [Case::fine(), unknown, suspended]
        .iter()
        .flat_map(Case::findings)
        .chain(refusals)
    {
        let pascal = finding.reason.starts_with(|c: char| c.is_ascii_uppercase())
            && finding.reason.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(pascal && !finding.message.is_empty(), "{finding:?}");
    }
}

#[test]
fn available_means_the_minimum_and_not_every_pod_that_the_hpa_asked_for() {
    // wanted, ready, observed generation → status, with a minimum of 2
    for (wanted, ready, observed, status) in [
        (2, 2, 2, "True"),
        (6, 2, 2, "True"),
        (6, 1, 2, "False"),
        (2, 0, 2, "False"),
        (1, 1, 2, "True"),
        (0, 0, 2, "False"),
        (2, 2, 1, "True"),
    ] {
        let case = Case::with(|case| {
            counts(ready, ready, ready, wanted)(case);
            case.deployment["status"]["observedGeneration"] = json!(observed);
        });
        let found = case.find("Available");
        assert_eq!(
            found.status, status,
            "{ready} of {wanted}, generation {observed}"
        );
    }
}

#[test]
fn pods_that_were_lost_are_named() {
    let state = json!({"running": {}});
    let status = json!({
        "name": "metrics", "ready": false, "restartCount": 0, "image": "i", "imageID": "",
        "state": state,
    });
    let pod = json!({
        "metadata": {"name": "events-worker-a"}, "status": {"initContainerStatuses": [status]},
    });
    let starts = Case::with(|case| {
        counts(2, 1, 2, 2)(case);
        case.obstacle = obstacle_of_pod(&serde_json::from_value(pod).expect("a Pod"));
    });
    assert_eq!(starts.find("Ready").message, "1 of 2 pods are ready");
    let lost = starts.before("Available", "True", "MinimumReplicasAvailable");
    for kind in ["Available", "Ready", "Degraded"] {
        let found = lost.find(kind);
        let named = "1 of 2 pods are ready: the container metrics of the pod events-worker-a";
        assert!(found.message.starts_with(named), "{found:?}");
        assert_eq!(found.reason, UNREADY);
    }
}

#[test]
fn what_customer_io_refuses_is_said_with_where_to_mend_it() {
    let workspace =
        "  workspace: {credentialsSecretRef: {name: keys, siteIdKey: s, apiKeyKey: k}}\n";
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
        (
            Delivery::Unexpected,
            ("False", "UnexpectedAnswers"),
            "check spec.workspace.endpoint",
        ),
        (Delivery::NotAsked, ("Unknown", "NoWorkerToAsk"), ""),
        (Delivery::NoAnswer, ("Unknown", "WorkerUnreachable"), ""),
    ] {
        let case = Case::with(|case| {
            case.spec = pipeline(workspace).spec;
            case.delivery = delivery;
        });
        let found = case.find("Delivering");
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
