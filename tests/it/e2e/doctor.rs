//! `cio doctor` and `cio queue` from outside the cluster.

use serde_json::Value;

use super::support::{Stage, try_run};

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn the_doctor_finds_a_ready_pipeline_well_and_its_missing_secret() {
    let stage = Stage::new("doctor", &[]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', credentialsSecretRef: {name: mine}}",
    );
    let checks = doctor(&stage);
    let found = find(&checks, "credentials-secret");
    assert_eq!(found["verdict"], "failure", "{checks:#?}");

    let from = ["--from-literal=siteId=any", "--from-literal=apiKey=any"];
    stage.kubectl(&[&["create", "secret", "generic", "mine"], &from[..]].concat());
    stage.wait_ready();
    let well = [
        "cluster",
        "permissions",
        "crd",
        "operator",
        "adapter",
        "metrics-api",
        "pipeline",
        "credentials-secret",
    ];
    stage.wait("the doctor finds it well", super::support::SOON, || {
        let checks = doctor(&stage);
        // Service names mean nothing out here: of Redis and simulator there are warnings.
        well.iter()
            .all(|name| find(&checks, name)["verdict"] == "pass")
            && find(&checks, "hpa")["verdict"] == "pass"
            && find(&checks, "redis")["verdict"] == "warning"
    });
}

pub(super) fn doctor(stage: &Stage) -> Vec<Value> {
    let arguments = ["doctor", "events", "-n", &stage.namespace, "-o", "json"];
    let output = try_run(env!("CARGO_BIN_EXE_cio"), &arguments, None);
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

pub(super) fn find<'a>(checks: &'a [Value], name: &str) -> &'a Value {
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or(&Value::Null)
}
