//! Adapters serve a certificate that has expired, as after months without an operator: nobody asks
//! them any more, until an operator leads.

use std::time::Duration;

use serde_json::Value;

use super::super::faults::certificate::{put_expired, stored};
use super::super::support::{SOON, SYSTEM, Stage, run, system, try_run};

const OPERATOR: &str = "deployment/cio-cio-operator-operator";
const ADAPTER: &str = "deployment/cio-cio-operator-adapter";
/// The operator's Lease, a new certificate, and two minutes for the kubelets to bring it.
const CHANGE: Duration = Duration::from_mins(4);

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_certificate_that_is_served_expired_keeps_the_pods_until_the_operator_replaces_it() {
    let stage = Stage::new("served-expired", &[]);
    stage
        .pipeline("  workspace: {endpoint: 'http://simulator'}\n  autoscaling: {minReplicas: 3}\n");
    stage.wait_ready();
    stage.wait("the metric", SOON, || scaling_active(&stage).0 == "True");
    let before = stage.replicas();
    let _back = Back;
    system(&["scale", OPERATOR, "--replicas=0", "--timeout=2m"]);
    let gone = ["wait", "--for=delete", "pod", "--timeout=2m", "-l"];
    let operators = "app.kubernetes.io/component=operator";
    system(&[&gone[..], &[operators]].concat());
    let expired = put_expired();
    // Connections that are open outlast their certificate, but not the pod at their end.
    system(&["rollout", "restart", ADAPTER]);
    system(&["rollout", "status", ADAPTER, "--timeout=3m"]);
    stage.wait("the HPA says that it gets no metric", SOON, || {
        scaling_active(&stage) == ("False".to_owned(), "FailedGetPodsMetric".to_owned())
    });
    stage.wait("the API server says why", SOON, || {
        available().contains("certificate has expired")
    });
    assert_eq!(stored(), expired, "nobody was there to replace it");
    assert_eq!(stage.replicas(), before);

    scale_up();
    stage.wait("the HPA goes on by itself", CHANGE, || {
        scaling_active(&stage).0 == "True"
    });
    assert_ne!(stored(), expired);
    assert_eq!(stage.replicas(), before);
    stage.wait("the pipeline says that all is well", SOON, || {
        stage.condition("MetricsAvailable").0 == "True" && stage.condition("Degraded").0 == "False"
    });
}

/// The operators come back with its end, also when the test fails: others need them.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        let replicas = ["-n", SYSTEM, "scale", OPERATOR, "--replicas=2"];
        try_run("kubectl", &replicas, None);
    }
}

fn scale_up() {
    system(&["scale", OPERATOR, "--replicas=2", "--timeout=2m"]);
    system(&["rollout", "status", OPERATOR, "--timeout=2m"]);
}

/// The HPA's own word: status and reason.
fn scaling_active(stage: &Stage) -> (String, String) {
    let hpa = stage.get("hpa", "events-worker");
    let conditions = hpa["status"]["conditions"].as_array().cloned();
    let is_active = |condition: &Value| condition["type"] == "ScalingActive";
    let found = conditions.unwrap_or_default().into_iter().find(is_active);
    let found = found.unwrap_or_default();
    let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (field("status"), field("reason"))
}

/// What the API server says of the adapter.
fn available() -> String {
    let path = "jsonpath={.status.conditions[?(@.type=='Available')].message}";
    let service = "v1beta2.custom.metrics.k8s.io";
    run("kubectl", &["get", "apiservice", service, "-o", path])
}
