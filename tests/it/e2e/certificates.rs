//! The adapter's serving certificate changes, and nobody who asks notices.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::support::{SOON, Stage, adapter_alone, system, try_run};

const SECRET: &str = "cio-cio-operator-adapter-serving";
/// 30 s for API servers, two looks of the operator, a kubelet's and an adapter's time to read it.
const CHANGE: Duration = Duration::from_mins(4);

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_renewed_and_a_lost_certificate_fail_no_question_of_the_hpa() {
    let stage = Stage::new("certificate", &[]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}\n");
    stage.wait_ready();
    stage.wait("the HPA has its metric", SOON, || {
        scaling_active(&stage).0 == "True"
    });
    let _alone = adapter_alone();
    let before = (scaling_active(&stage), certificate(SECRET));
    let failures = metric_failures(&stage);
    stage.is_answered_during(100, || {
        system(&["annotate", "secret", SECRET, "cio.dev/rotate=now"]);
        wait_served(&stage, SECRET, &before.1);
        let renewed = certificate(SECRET);
        let nothing = r#"{"data":null}"#;
        system(&["patch", "secret", SECRET, "--type=merge", "-p", nothing]);
        wait_served(&stage, SECRET, &renewed);
        // Two syncs of the HPA more.
        sleep(Duration::from_secs(10));
    });
    assert_eq!(scaling_active(&stage), before.0, "the HPA noticed");
    assert_eq!(metric_failures(&stage), failures);
}

/// How often the HPA said that it got no metric, as while the first pods start.
fn metric_failures(stage: &Stage) -> String {
    let failed = "--field-selector=reason=FailedGetPodsMetric";
    let counts = "jsonpath={.items[*].count} {.items[*].series.count}";
    stage.kubectl(&["get", "events", failed, "-o", counts])
}

/// The HPA's own word: status, and since when.
pub(super) fn scaling_active(stage: &Stage) -> (String, String) {
    let hpa = stage.get("hpa", "events-worker");
    let conditions = hpa["status"]["conditions"].as_array().cloned();
    let found = conditions
        .unwrap_or_default()
        .into_iter()
        .find(|condition| condition["type"] == "ScalingActive")
        .unwrap_or_default();
    let field = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (field("status"), field("lastTransitionTime"))
}

/// The fingerprint of the certificate in a Secret; empty where there is none.
pub(super) fn certificate(secret: &str) -> String {
    let path = r"jsonpath={.data.tls\.crt}";
    let encoded = system(&["get", "secret", secret, "-o", path]);
    let decoded = try_run("base64", &["-d"], Some(&encoded));
    fingerprint(&String::from_utf8_lossy(&decoded.stdout))
}

fn fingerprint(pem: &str) -> String {
    let arguments = ["x509", "-noout", "-fingerprint", "-sha256"];
    let output = try_run("openssl", &arguments, Some(pem));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until both adapters serve with another certificate than `before`, the Secret's.
pub(super) fn wait_served(stage: &Stage, secret: &str, before: &str) {
    stage.wait("adapters serve with a new certificate", CHANGE, || {
        let now = certificate(secret);
        let served: Vec<_> = adapters().iter().map(|address| served(address)).collect();
        now != before && served == [now.as_str(); 2]
    });
}

fn adapters() -> Vec<String> {
    let selector = "app.kubernetes.io/component=adapter";
    let text = system(&["get", "pods", "-l", selector, "-o", "json"]);
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let pods = list["items"].as_array().expect("items");
    let address = |pod: &Value| Some(pod["status"]["podIP"].as_str()?.to_owned());
    pods.iter().filter_map(address).collect()
}

fn served(address: &str) -> String {
    let target = format!("{address}:6443");
    let shown = try_run("openssl", &["s_client", "-connect", &target], Some(""));
    fingerprint(&String::from_utf8_lossy(&shown.stdout))
}
