//! The adapter's serving certificate changes, and nobody who asks notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use serde_json::Value;

use super::support::{Ends, SOON, Stage, run, try_run};

const SYSTEM: &str = "cio-system";
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
    let before = (scaling_active(&stage), certificate());
    let done = AtomicBool::new(false);
    let asked = scope(|scope| {
        let asker = scope.spawn(|| ask_until(&stage, &done));
        let ends = Ends(&done);
        let system = |arguments: &[&str]| run("kubectl", &[&["-n", SYSTEM], arguments].concat());
        system(&["annotate", "secret", SECRET, "cio.dev/rotate=now"]);
        wait_served(&stage, &before.1);
        let renewed = certificate();
        let nothing = r#"{"data":null}"#;
        system(&["patch", "secret", SECRET, "--type=merge", "-p", nothing]);
        wait_served(&stage, &renewed);
        // Two syncs of the HPA more.
        sleep(Duration::from_secs(10));
        drop(ends);
        asker.join().expect("the asker ends")
    });
    println!("{} questions, {} failed", asked.count, asked.failed.len());
    assert!(asked.count > 100, "only {} questions", asked.count);
    assert_eq!(asked.failed, Vec::<String>::new());
    assert_eq!(scaling_active(&stage), before.0, "the HPA noticed");
    let events = stage.kubectl(&["get", "events", "-o", "jsonpath={.items[*].reason}"]);
    assert!(!events.contains("FailedGetPodsMetric"), "{events}");
}

struct Asked {
    count: u32,
    failed: Vec<String>,
}

/// Asks as the HPA does, through the API server, again and again.
fn ask_until(stage: &Stage, done: &AtomicBool) -> Asked {
    let path = format!(
        "/apis/custom.metrics.k8s.io/v1beta2/namespaces/{}/pods/*/cio_queue_depth\
         ?labelSelector=cio.dev%2Fpipeline%3Devents",
        stage.namespace
    );
    let mut asked = Asked {
        count: 0,
        failed: Vec::new(),
    };
    while !done.load(Ordering::Relaxed) {
        let answer = try_run("kubectl", &["get", "--raw", &path], None);
        asked.count += 1;
        if !answer.status.success() {
            let error = String::from_utf8_lossy(&answer.stderr).into_owned();
            asked.failed.push(error);
        }
        sleep(Duration::from_millis(200));
    }
    asked
}

/// Status, and since when.
fn scaling_active(stage: &Stage) -> (String, String) {
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

/// The fingerprint of the certificate in the Secret; empty where there is none.
fn certificate() -> String {
    let path = r"jsonpath={.data.tls\.crt}";
    let encoded = run(
        "kubectl",
        &["-n", SYSTEM, "get", "secret", SECRET, "-o", path],
    );
    let decoded = try_run("base64", &["-d"], Some(&encoded));
    fingerprint(&String::from_utf8_lossy(&decoded.stdout))
}

fn fingerprint(pem: &str) -> String {
    let arguments = ["x509", "-noout", "-fingerprint", "-sha256"];
    let output = try_run("openssl", &arguments, Some(pem));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until every adapter serves with another certificate than `before`, the Secret's.
fn wait_served(stage: &Stage, before: &str) {
    stage.wait("adapters serve with a new certificate", CHANGE, || {
        let now = certificate();
        !now.is_empty() && now != before && adapters().iter().all(|address| served(address) == now)
    });
}

fn adapters() -> Vec<String> {
    let selector = "app.kubernetes.io/component=adapter";
    let text = run(
        "kubectl",
        &["-n", SYSTEM, "get", "pods", "-l", selector, "-o", "json"],
    );
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let pods = list["items"].as_array().expect("items");
    assert_eq!(pods.len(), 2, "{text}");
    let address = |pod: &Value| {
        pod["status"]["podIP"]
            .as_str()
            .expect("an address")
            .to_owned()
    };
    pods.iter().map(address).collect()
}

fn served(address: &str) -> String {
    let target = format!("{address}:6443");
    let shown = try_run("openssl", &["s_client", "-connect", &target], Some(""));
    fingerprint(&String::from_utf8_lossy(&shown.stdout))
}
