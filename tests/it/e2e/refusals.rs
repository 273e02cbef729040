//! What cannot work is refused, by the API server or in `Ready`, with what to change.

use super::support::{SOON, Stage};

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn the_api_server_refuses_an_invalid_resource_and_says_what_to_change() {
    let stage = Stage::empty("refusals");
    let redis = "redis: {url: 'redis://redis:6379'}";
    let long = "a".repeat(51);
    let cases = [
        (
            "events",
            format!("{{queue: {{{redis}}}, autoscaling: {{minReplicas: 5, maxReplicas: 2}}}}"),
            "minReplicas must not be above",
        ),
        (
            "events",
            format!("{{queue: {{name: 'cio:events', {redis}}}}}"),
            "must not contain a colon",
        ),
        (
            "events",
            "{queue: {redis: {url: 'redis://r:1', urlSecretRef: {name: a, key: b}}}}".to_owned(),
            "exactly one of",
        ),
        (
            "events",
            "{queue: {redis: {}}}".to_owned(),
            "exactly one of",
        ),
        (
            "events",
            "{queue: {redis: {url: 'redis://user:secret@redis:6379'}}}".to_owned(),
            "must not contain a user or password",
        ),
        (
            "events",
            "{queue: {redis: {url: 'http://redis:6379'}}}".to_owned(),
            "must start with redis://",
        ),
        (
            "events",
            "{queue: {redis: {url: 'redis-cluster://a:1,b:1'}}}".to_owned(),
            "hash tag",
        ),
        (
            "events",
            format!("{{queue: {{{redis}}}, autoscalling: {{minReplicas: 1}}}}"),
            "unknown field \"spec.autoscalling\"",
        ),
        (
            "events",
            format!("{{queue: {{{redis}}}, sidecar: {{port: 9101}}}}"),
            "must not be 9101",
        ),
        (
            "events",
            format!("{{queue: {{{redis}}}, workspace: {{endpoint: 'ftp://x'}}}}"),
            "must be http:// or https://",
        ),
        (
            "events",
            format!(
                "{{queue: {{{redis}}}, worker: {{template: {{env: [{{name: CIO_QUEUE, value: a}}]}}}}}}"
            ),
            "set the field instead",
        ),
        (
            long.as_str(),
            format!("{{queue: {{{redis}}}}}"),
            "at most 50 characters",
        ),
    ];
    for (name, spec, message) in cases {
        let manifest = format!(
            "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        );
        let output = stage.try_kubectl(&["apply", "--dry-run=server", "-f", "-"], Some(&manifest));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "accepted: {spec}");
        assert!(error.contains(message), "{spec}: {error}");
    }
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn the_queue_of_a_pipeline_cannot_be_changed() {
    let stage = Stage::empty("immutable");
    stage.pipeline("");
    let patch = r#"{"spec":{"queue":{"name":"other"}}}"#;
    let arguments = [
        "patch",
        "ciopipeline",
        "events",
        "--type=merge",
        "-p",
        patch,
    ];
    let output = stage.try_kubectl(&arguments, None);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("immutable"),
        "{error}"
    );
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_name_that_is_taken_is_left_alone() {
    let stage = Stage::empty("name-taken");
    stage.kubectl(&[
        "create",
        "deployment",
        "events-worker",
        "--image=redis:7",
        "--replicas=0",
    ]);
    let before = stage.get("deployment", "events-worker");
    stage.pipeline("");
    stage.wait("Ready=False, NameTaken", SOON, || {
        stage.condition("Ready").1 == "NameTaken"
    });
    let (status, _, message) = stage.condition("Ready");
    assert_eq!(status, "False");
    assert!(
        message.contains("Deployment events-worker exists"),
        "{message}"
    );
    let after = stage.get("deployment", "events-worker");
    assert_eq!(after["spec"], before["spec"]);
    assert_eq!(after["metadata"]["labels"], before["metadata"]["labels"]);
    assert!(
        stage.get("hpa", "events-worker").is_null(),
        "nothing else is created either"
    );
    // Once the name is free, it goes on by itself.
    stage.kubectl(&["delete", "deployment", "events-worker"]);
    stage.wait("the workers are created", SOON, || {
        stage.get("deployment", "events-worker")["metadata"]["ownerReferences"][0]["kind"]
            == "CioPipeline"
    });
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_missing_secret_is_named_and_found_once_it_is_there() {
    let stage = Stage::new("secret", &[]);
    stage.kubectl(&["delete", "secret", "customerio"]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}\n");
    stage.wait("Ready=False, SecretMissing", SOON, || {
        stage.condition("Ready").1 == "SecretMissing"
    });
    let (status, _, message) = stage.condition("Ready");
    assert_eq!(status, "False");
    assert!(message.contains("customerio"), "{message}");
    stage.kubectl(&[
        "create",
        "secret",
        "generic",
        "customerio",
        "--from-literal=siteId=a",
        "--from-literal=apiKey=b",
    ]);
    stage.wait_ready();
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn what_only_the_api_server_can_refuse_is_in_the_status_and_mended_by_the_user() {
    let stage = Stage::new("apply-refused", &[]);
    let spec = |label: &str| {
        format!(
            "  workspace: {{endpoint: 'http://simulator'}}
  worker: {{resources: {{requests: {{memory: 300Mi}}}}, template: {{labels: {{team: '{label}'}}}}}}
"
        )
    };
    stage.pipeline(&spec("no label at all!"));
    stage.wait("Ready=False, ApplyRefused", SOON, || {
        stage.condition("Ready").1 == "ApplyRefused"
    });
    let (status, _, message) = stage.condition("Ready");
    assert_eq!(status, "False");
    assert!(
        message.contains("refuses Deployment") && message.contains("no label"),
        "{message}"
    );
    // More memory than the default limit is no reason to refuse: the limit follows.
    stage.pipeline(&spec("growth"));
    stage.wait_ready();
    let worker =
        &stage.get("deployment", "events-worker")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(worker["resources"]["limits"]["memory"], "300Mi");
}
