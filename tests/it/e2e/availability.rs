//! Two operators, of which one writes: what happens when that one ends, asked or not.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use cio_operator::runtime::clock::Clock;
use jiff::Timestamp;
use serde_json::Value;

use super::support::{self, SOON, SYSTEM, Stage, kill_container, manifest, system, wait_for};

const OPERATOR: &str = "cio-cio-operator-operator";
const LOAD: &str = "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 40}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 2, maxReplicas: 2}
";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_killed_leader_is_followed_within_20_seconds_and_nothing_flaps() {
    let stage = Stage::new("leader-killed", &[]);
    let _alone = support::operator_alone();
    stage.pipeline(LOAD);
    stage.wait_ready();
    stage.wait("2 ready pods", SOON, || stage.pods().len() == 2);
    stage.produce(1200);
    let before = picture(&stage);
    let first = leads(|_| true);
    kill_container(&found("pod", &first.pod).expect("the leader's pod"));
    let killed = Clock::system().now();
    // What only a leader does: objects for another pipeline.
    let another = manifest(LOAD).replace("name: events", "name: second");
    let another = another.replace("queue: {", "queue: {name: second, ");
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(&another));
    assert!(applied.status.success(), "{applied:?}");
    let second = leads(|now| now.identity != first.identity);
    stage.wait("it works", SOON, || {
        !stage.get("deployment", "second-worker").is_null()
    });
    assert_eq!(second.transitions, first.transitions + 1);

    let writes = writes_since(killed);
    assert_one_writes(&writes, &second);
    let wrote = writes
        .iter()
        .find(|write| !write.is_lease())
        .expect("its writes are in the audit log");
    let after = wrote.at.duration_since(killed);
    println!("another wrote {:.1} s after the kill", after.as_secs_f64());
    assert!(after.as_secs() < 20, "only after {after}: {writes:?}");
    stage.wait("everything is delivered", Duration::from_mins(3), || {
        stage.finished("completed") == 1200
    });
    assert_eq!(stage.finished("failed"), 0);
    assert_eq!(picture(&stage), before);
    // The first one's container started again within a second: it stands by.
    assert_one_writes(&writes_since(killed), &second);
}

fn assert_one_writes(writes: &[Write], leader: &Leader) {
    let took = writes
        .iter()
        .find(|write| write.pod == leader.pod && write.leads())
        .expect("its update of the lease is in the audit log");
    for write in writes.iter().filter(|write| !write.is_lease()) {
        assert_eq!(write.pod, leader.pod, "two write at once: {writes:?}");
        assert!(write.at >= took.at, "written before it led: {writes:?}");
    }
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_leader_that_is_asked_to_end_hands_over_at_once() {
    support::installed();
    let _alone = support::operator_alone();
    let rolled = ["rollout", "status", "deployment", OPERATOR, "--timeout=2m"];
    system(&rolled);
    // Installed is not led yet: the first lease is taken once an operator has read the cluster.
    let first = leads(|_| true);
    let ended = Clock::system().now();
    system(&["delete", "pod", &first.pod]);
    let second = leads(|now| now.pod != first.pod);
    assert_eq!(second.transitions, first.transitions + 1);
    let writes = writes_since(ended);
    let leases = |pod: &str| {
        let of_pod = |write: &&Write| write.is_lease() && write.leads() && write.pod == pod;
        writes
            .iter()
            .filter(of_pod)
            .map(|write| write.at)
            .collect::<Vec<_>>()
    };
    let released = *leases(&first.pod).last().expect("a release");
    let taken = *leases(&second.pod).first().expect("a takeover");
    let gap = taken.duration_since(released);
    println!("taken {:.1} s after the release", gap.as_secs_f64());
    // A lease that was not released could be taken 15 s after its last update.
    assert!(
        gap.as_secs() < 10,
        "it expired instead of being released: {writes:?}"
    );
    assert!(
        taken >= released,
        "taken before it was released: {writes:?}"
    );
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn adapters_that_end_one_after_the_other_fail_no_question() {
    let stage = Stage::new("adapters", &[]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}\n");
    stage.wait_ready();
    stage.wait("the metric", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    let _alone = support::adapter_alone();
    let deployment = "deployment/cio-cio-operator-adapter";
    system(&["rollout", "status", deployment, "--timeout=2m"]);
    stage.is_answered_during(20, || {
        // Six adapters end, one after the other.
        for _ in 0..3 {
            system(&["rollout", "restart", deployment]);
            system(&["rollout", "status", deployment, "--timeout=2m"]);
            let selector = "app.kubernetes.io/component=adapter";
            stage.wait("2 adapters", SOON, || {
                system(&["get", "pods", "-l", selector, "-o", "name"])
                    .lines()
                    .count()
                    == 2
            });
        }
    });
}

/// Who leads, as the Lease says.
#[derive(Debug)]
struct Leader {
    identity: String,
    pod: String,
    transitions: i64,
}

/// The first leader of that kind, waited for.
fn leads(is: impl Fn(&Leader) -> bool) -> Leader {
    let found = RefCell::new(None);
    wait_for(
        "an operator leads",
        SOON,
        || format!("{:?}", leader()),
        || {
            found.replace(leader().filter(&is));
            found.borrow().is_some()
        },
    );
    found.into_inner().expect("it was found")
}

/// `None` while nobody leads: no lease yet, or one that was given back.
fn leader() -> Option<Leader> {
    let spec = &found("lease", OPERATOR)?["spec"];
    let identity = spec["holderIdentity"].as_str()?;
    let (pod, _) = identity.rsplit_once('_')?;
    Some(Leader {
        identity: identity.to_owned(),
        pod: pod.to_owned(),
        transitions: spec["leaseTransitions"].as_i64().expect("a number"),
    })
}

fn found(kind: &str, name: &str) -> Option<Value> {
    let get = ["get", kind, name, "--ignore-not-found", "-o", "json"];
    let text = system(&get);
    (!text.is_empty()).then(|| serde_json::from_str(&text).expect("JSON"))
}

/// What must not change: the owned objects to the letter, but for the HPA's status, and the pods.
fn picture(stage: &Stage) -> (Vec<Value>, Value, BTreeSet<String>) {
    let objects = ["deployment", "poddisruptionbudget", "serviceaccount"];
    let versions = objects.map(|kind| {
        let metadata = &stage.get(kind, "events-worker")["metadata"];
        assert!(
            metadata["resourceVersion"].is_string(),
            "{kind}: {metadata}"
        );
        serde_json::json!([kind, metadata["generation"], metadata["resourceVersion"]])
    });
    let hpa = stage.get("hpa", "events-worker");
    let uid = |pod: &Value| pod["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let pods = stage.pods().iter().map(uid).collect();
    (versions.into(), hpa["spec"].clone(), pods)
}

/// A write of an operator, from the API server's audit log.
#[derive(Debug)]
struct Write {
    at: Timestamp,
    pod: String,
    resource: String,
    code: u64,
}

impl Write {
    fn is_lease(&self) -> bool {
        self.resource == "leases"
    }

    /// It succeeded.
    fn leads(&self) -> bool {
        self.code < 300
    }
}

fn writes_since(start: Timestamp) -> Vec<Write> {
    let path = std::env::var("CIO_E2E_AUDIT").expect("the audit log; run: make test-e2e");
    let log = std::fs::read_to_string(&path).expect("the audit log is readable");
    let user = format!("system:serviceaccount:{SYSTEM}:{OPERATOR}");
    let mut writes: Vec<Write> = log
        .lines()
        .filter(|line| line.contains(&user))
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &Value| event["user"]["username"] == user.as_str())
        .map(|event| Write {
            at: event["requestReceivedTimestamp"]
                .as_str()
                .and_then(|time| time.parse().ok())
                .expect("a time"),
            pod: event["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]
                .as_str()
                .expect("a pod")
                .to_owned(),
            resource: event["objectRef"]["resource"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            code: event["responseStatus"]["code"].as_u64().unwrap_or(0),
        })
        .filter(|write| write.at >= start)
        .collect();
    writes.sort_by_key(|write| write.at);
    writes
}
