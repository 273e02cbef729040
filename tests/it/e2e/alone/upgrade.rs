//! The chart's own life: from the first version to this one, taken away, and there again. Nothing else may
//! need the chart meanwhile.

use serde_json::Value;

use super::super::support::{CHART, SOON, Stage, install, run};

/// The first chart that was landed, as it was packaged.
const FIRST: &str = "tests/it/e2e/charts/cio-operator-0.1.0-first.tgz";
const JOBS: u64 = 3_000;

/// 20 requests a second: the jobs last for longer than what happens to the chart.
const SPEC: &str = "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 20}}
  delivery: {mode: Single}
  autoscaling: {maxReplicas: 2}
";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn an_upgrade_and_an_uninstall_leave_every_pod_at_work() {
    uninstall();
    // The CRD too: it is upgraded.
    run(
        "kubectl",
        &[
            "delete",
            "crd",
            "ciopipelines.cio.dev",
            "--ignore-not-found",
            "--timeout=60s",
        ],
    );
    // This program under the rights of the first chart leads nothing: its pods are not waited for.
    install(FIRST, &["--wait=hookOnly"]);
    assert!(
        !knows_variables(),
        "the first CRD has no spec.worker.template.env"
    );
    install(CHART, &[]);
    assert!(knows_variables(), "the CRD was upgraded");
    let stage = Stage::new("upgrade", &[]);
    stage.pipeline(SPEC);
    stage.wait("two pods work", SOON, || ready(&stage).len() == 2);
    stage.produce(u32::try_from(JOBS).expect("it fits"));
    let pods = ready(&stage);

    // An upgrade that replaces every operator and adapter.
    install(CHART, &["--set", "log=debug"]);
    stage.wait_ready();
    assert_eq!(ready(&stage), pods, "the upgrade replaced a pod");
    rollback_after_a_renewal(&stage);
    assert_eq!(ready(&stage), pods, "the rollback replaced a pod");

    uninstall();
    let generation = stage.get("ciopipeline", "events")["metadata"]["generation"].clone();
    let completed = stage.finished("completed");
    stage.wait("jobs are delivered without an operator", SOON, || {
        stage.finished("completed") > completed + 100
    });
    assert_eq!(ready(&stage), pods, "the pods went with the chart");

    install(CHART, &[]);
    stage.wait_ready();
    assert_eq!(ready(&stage), pods, "the new installation replaced a pod");
    assert_eq!(
        stage.get("ciopipeline", "events")["metadata"]["generation"],
        generation
    );
    stage.wait("every job is delivered", SOON, || {
        stage.finished("completed") == JOBS
    });
    assert_eq!(stage.finished("failed"), 0);
}

/// The release before knows nothing of whom callers believe since.
fn rollback_after_a_renewal(stage: &Stage) {
    let manifest = || run("helm", &["get", "manifest", "cio", "-n", "cio-system"]);
    assert!(!manifest().contains("caBundle:"), "the chart renders one");
    let before = bundle();
    let rotate = "secret/cio-cio-operator-adapter-serving";
    run(
        "kubectl",
        &["-n", "cio-system", "annotate", rotate, "cio.dev/rotate=now"],
    );
    stage.wait("the next authority is believed too", SOON, || {
        bundle() != before
    });
    let renewed = bundle();
    let back = ["rollback", "cio", "-n", "cio-system", "--wait"];
    run("helm", &[&back[..], &["--timeout", "3m"]].concat());
    assert_eq!(bundle(), renewed, "the rollback changed it");
    stage.wait_ready();
}

/// Whom the API server believes, where it asks for the metric.
fn bundle() -> String {
    let service = "apiservice/v1beta2.custom.metrics.k8s.io";
    let field = "jsonpath={.spec.caBundle}";
    run("kubectl", &["get", service, "-o", field])
}

fn uninstall() {
    let arguments = [
        "uninstall",
        "cio",
        "--namespace",
        "cio-system",
        "--wait",
        "--ignore-not-found",
    ];
    run("helm", &arguments);
}

/// Whether the CRD has what came after the first version. The object is asked: what `kubectl explain` tells
/// follows it some time later.
fn knows_variables() -> bool {
    const FIELD: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/worker\
                         /properties/template/properties";
    let crd = run(
        "kubectl",
        &["get", "crd", "ciopipelines.cio.dev", "-o", "json"],
    );
    let crd: Value = serde_json::from_str(&crd).expect("JSON");
    let fields = crd.pointer(FIELD).expect("fields of the template");
    fields.get("env").is_some()
}

/// The uids of the ready pods, and how often their containers were started anew.
fn ready(stage: &Stage) -> Vec<(Value, u64)> {
    let is_ready = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        conditions
            .into_iter()
            .any(|it| it["type"] == "Ready" && it["status"] == "True")
    };
    let restarts = |pod: &Value| -> u64 {
        let lists =
            ["containerStatuses", "initContainerStatuses"].map(|it| pod["status"][it].as_array());
        let all = lists.into_iter().flatten().flatten();
        all.filter_map(|it| it["restartCount"].as_u64()).sum()
    };
    let mut pods = stage.pods();
    pods.retain(is_ready);
    let mut found: Vec<_> = pods
        .iter()
        .map(|pod| (pod["metadata"]["uid"].clone(), restarts(pod)))
        .collect();
    found.sort_by_key(|(uid, _)| uid.to_string());
    found
}
