//! The API server restarts, or etcd stands still: what ran goes on, and nothing moves afterwards.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::support::{SOON, SYSTEM, Stage, run, system, try_run, wait_for};

const JOBS: u64 = 1200;
const LOAD: &str = "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 20}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 2, maxReplicas: 2}
";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn an_api_server_that_restarts_stops_no_delivery_and_moves_nothing() {
    goes_on("api-server", || {
        component("restart", "apiserver");
        answers();
    });
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn an_etcd_that_stands_still_for_30_seconds_stops_no_delivery_and_moves_nothing() {
    goes_on("etcd", || {
        component("pause", "etcd");
        sleep(Duration::from_secs(30));
        component("resume", "etcd");
        answers();
    });
}

/// Workers deliver while `disturb` is at it, and afterwards everything is as it was.
fn goes_on(name: &str, disturb: impl FnOnce()) {
    let stage = Stage::new(name, &[]);
    stage.pipeline(LOAD);
    stage.wait_ready();
    stage.wait("2 pods", SOON, || stage.pods().len() == 2);
    stage.wait("the metric", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    stage.produce(u32::try_from(JOBS).expect("few"));
    stage.wait("some jobs are done", SOON, || {
        stage.finished("completed") > 20
    });
    let (before, restarts) = (picture(&stage), restarts());
    disturb();
    stage.wait("everything is delivered", SOON, || {
        stage.finished("completed") == JOBS
    });
    assert_eq!(stage.finished("failed"), 0);
    stage.wait("everything is well", SOON, || {
        stage.condition("Ready").0 == "True" && stage.condition("MetricsAvailable").0 == "True"
    });
    assert_eq!(picture(&stage), before, "something moved");
    wait_for("an operator leads", SOON, leader, || !leader().is_empty());

    // A leader that could not renew its Lease ends, once, and stands by. It does not go on so.
    let after = self::restarts();
    println!("restarts of operators and adapters: {restarts} before, {after} after");
    assert!(
        after <= restarts + 2,
        "{restarts} → {after}: {}",
        show_system()
    );
    let led = leader();
    sleep(Duration::from_secs(30));
    assert_eq!(self::restarts(), after, "they go on restarting");
    assert_eq!(leader(), led, "the Lease goes from one to the other");
    // Whoever leads works: a change of the spec arrives.
    let patch = r#"{"spec":{"autoscaling":{"maxReplicas":3}}}"#;
    stage.patch(patch);
    stage.wait("the change is in the HPA", SOON, || {
        stage.get("hpa", "events-worker")["spec"]["maxReplicas"] == 3
    });
}

fn component(verb: &str, name: &str) {
    run("tests/cluster/component", &[verb, name]);
}

/// Waits until the API server is ready, through to etcd.
fn answers() {
    wait_for("the API server answers", SOON, String::new, || {
        let ready = ["get", "--raw", "/readyz", "--request-timeout=5s"];
        try_run("kubectl", &ready, None).status.success()
    });
}

/// What must not change: the owned objects' specs, the pods with their restarts, and since when
/// the pipeline is ready.
fn picture(stage: &Stage) -> Value {
    let deployment = stage.get("deployment", "events-worker");
    let hpa = stage.get("hpa", "events-worker");
    let mut pods: Vec<Value> = stage
        .pods()
        .iter()
        .map(|pod| json!([pod["metadata"]["uid"], restarts_of(pod)]))
        .collect();
    pods.sort_by_key(ToString::to_string);
    let pipeline = stage.get("ciopipeline", "events");
    let conditions = pipeline["status"]["conditions"].as_array().cloned();
    let ready = conditions
        .into_iter()
        .flatten()
        .find(|found| found["type"] == "Ready");
    json!({
        "deployment": deployment["metadata"]["generation"],
        "replicas": deployment["spec"]["replicas"],
        "hpa": hpa["spec"],
        "pods": pods,
        "ready since": ready.map(|found| found["lastTransitionTime"].clone()),
    })
}

fn restarts_of(pod: &Value) -> u64 {
    let kinds = ["initContainerStatuses", "containerStatuses"];
    let containers = kinds.map(|kind| pod["status"][kind].as_array().cloned());
    containers
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|container| container["restartCount"].as_u64())
        .sum()
}

/// Of all operators and adapters together.
fn restarts() -> u64 {
    let text = system(&["get", "pods", "-o", "json"]);
    let list: Value = serde_json::from_str(&text).expect("JSON");
    list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(restarts_of)
        .sum()
}

fn leader() -> String {
    let holder = "jsonpath={.spec.holderIdentity}";
    let lease = "cio-cio-operator-operator";
    system(&["get", "lease", lease, "-o", holder])
}

fn show_system() -> String {
    let selector = "app.kubernetes.io/managed-by=Helm";
    let logs = [
        "-n",
        SYSTEM,
        "logs",
        "-l",
        selector,
        "--previous",
        "--tail=5",
        "--prefix",
    ];
    let logs = try_run("kubectl", &logs, None);
    let pods = system(&["get", "pods", "-o", "wide"]);
    pods + &String::from_utf8_lossy(&logs.stdout)
}
