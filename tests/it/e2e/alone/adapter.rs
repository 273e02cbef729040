//! No adapter is there: the HPA keeps its replicas, and the pipeline says why.

use std::thread::sleep;
use std::time::Duration;

use super::super::support::{SOON, SYSTEM, Stage, system, try_run};

const DEPLOYMENT: &str = "deployment/cio-cio-operator-adapter";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn without_an_adapter_the_pods_stay_and_the_pipeline_says_so() {
    let stage = Stage::new("no-adapter", &[]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 20}}
  delivery: {mode: Single}
  autoscaling:
    behavior: {scaleUp: {stabilizationWindowSeconds: 0}, scaleDown: {stabilizationWindowSeconds: 0}}
",
    );
    stage.wait_ready();
    stage.produce(1900);
    stage.wait("4 pods for 1,900 jobs", SOON, || stage.replicas() == 4);
    let before = stage.finished("completed");
    let _back = Back;
    scale(0);
    // New pods have no CPU figures yet, and the HPA may name those first.
    stage.wait(
        "MetricsAvailable=False, for want of the depth",
        SOON,
        || {
            let (status, reason, _) = stage.condition("MetricsAvailable");
            (status.as_str(), reason.as_str()) == ("False", "FailedGetPodsMetric")
        },
    );
    let (_, reason, message) = stage.condition("MetricsAvailable");
    println!("MetricsAvailable=False, {reason}: {message}");
    for word in ["cio_queue_depth", "adapter"] {
        assert!(message.contains(word), "{message}");
    }
    // CPU, where it asks for no fewer pods, is enough for the HPA to say that it is active.
    let outcomes = ["number of pods is held", "no pod is removed"];
    assert!(outcomes.iter().any(|it| message.contains(it)), "{message}");
    assert_eq!(stage.condition("Degraded").1, "FailedGetPodsMetric");
    assert_eq!(stage.condition("Ready").0, "True", "jobs are delivered");
    // 20 a second leave fewer than 4 pods' share after 20 s.
    for second in 0..60 {
        assert_eq!(stage.replicas(), 4, "after {second} s without an adapter");
        sleep(Duration::from_secs(1));
    }
    assert!(stage.finished("completed") > before, "delivery went on");
    scale(2);
    stage.wait("the HPA goes on by itself", SOON, || {
        stage.condition("MetricsAvailable").0 == "True" && stage.replicas() < 4
    });
    assert_eq!(stage.condition("Degraded").0, "False");
}

/// The adapters come back with its end, also when the test fails: others need them.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        let replicas = ["scale", DEPLOYMENT, "--replicas=2"];
        try_run("kubectl", &[&["-n", SYSTEM][..], &replicas].concat(), None);
    }
}

fn scale(replicas: u32) {
    let replicas = format!("--replicas={replicas}");
    system(&["scale", DEPLOYMENT, &replicas, "--timeout=2m"]);
    system(&["rollout", "status", DEPLOYMENT, "--timeout=2m"]);
}
