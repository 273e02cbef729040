//! What the status says, to whom, and how seldom it is written.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::support::{SOON, Stage, manifest};

const SPEC: &str = "  workspace: {endpoint: 'http://simulator'}\n";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn tools_wait_for_a_pipeline_and_a_quiet_one_is_not_written() {
    let stage = Stage::new("status", &[]);
    stage.pipeline(SPEC);
    let wait = [
        "wait",
        "--for=condition=Ready",
        "ciopipeline/events",
        "--timeout=2m",
    ];
    stage.kubectl(&wait);
    let pipeline = stage.get("ciopipeline", "events");
    let generation = &pipeline["metadata"]["generation"];
    assert_eq!(&pipeline["status"]["observedGeneration"], generation);
    stage.wait("nothing is abnormal", SOON, || {
        ["Reconciling", "Stalled", "Degraded", "RateLimited"]
            .iter()
            .all(|kind| stage.condition(kind).0 == "False")
            && ["MetricsAvailable", "ScalingActive", "Available"]
                .iter()
                .all(|kind| stage.condition(kind).0 == "True")
    });
    // The HPA goes on writing its own status; ours are left alone.
    let versions = || {
        ["ciopipeline/events", "serviceaccount/events-worker"].map(|object| {
            stage.kubectl(&["get", object, "-o", "jsonpath={.metadata.resourceVersion}"])
        })
    };
    sleep(Duration::from_secs(20));
    let before = versions();
    sleep(Duration::from_mins(1));
    assert_eq!(versions(), before, "a minute in which nothing happened");

    // A rollout is under way until every pod is new.
    let annotate = r#"{"spec":{"worker":{"template":{"annotations":{"example.com/roll":"1"}}}}}"#;
    stage.patch(annotate);
    stage.wait("the rollout is seen", SOON, || {
        let ready = stage.condition("Ready");
        (stage.condition("Reconciling").0 == "True") && ready.1 == "RollingOut"
    });
    stage.wait_ready();
    assert_eq!(stage.condition("Reconciling").0, "False");
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn one_that_is_refused_or_huge_or_stuck_does_not_delay_another() {
    let stage = Stage::new("hostile", &[]);
    let create = |name: &str, spec: &str| {
        let manifest = manifest(spec).replace("{name: events}", &format!("{{name: {name}}}"));
        stage.try_kubectl(&["create", "-f", "-"], Some(&manifest))
    };
    let long = create(&"n".repeat(10_000), SPEC);
    assert!(!long.status.success(), "a name of 10,000 characters");
    // More than the API server takes of annotations.
    let huge = json!({"example.com/huge": "x".repeat(300_000)});
    let huge = format!("{SPEC}  worker: {{template: {{annotations: {huge}}}}}\n");
    assert!(create("huge", &huge).status.success());
    let stuck = format!("{SPEC}  worker: {{template: {{nodeSelector: {{nobody: has-it}}}}}}\n");
    assert!(create("stuck", &stuck).status.success());
    stage.pipeline(SPEC);
    stage.wait("the sound one is ready", Duration::from_mins(1), || {
        stage.condition("Ready").0 == "True"
    });
    let refused = stage.get("ciopipeline", "huge");
    let find = |kind: &str| {
        let conditions = refused["status"]["conditions"].as_array().cloned();
        let found = conditions
            .into_iter()
            .flatten()
            .find(|it| it["type"] == kind);
        found.map(|it| (it["status"].clone(), it["reason"].clone()))
    };
    assert_eq!(
        find("Stalled"),
        Some((json!("True"), json!("ApplyRefused")))
    );
    assert_eq!(find("Ready"), Some((json!("False"), json!("ApplyRefused"))));
}
