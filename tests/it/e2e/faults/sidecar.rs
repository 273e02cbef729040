//! A sidecar hangs: another one is asked, and the pipeline names its pod.

use std::sync::atomic::AtomicBool;
use std::thread::scope;

use serde_json::Value;

use super::super::support::{Ends, SOON, Stage, run};

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_sidecar_that_hangs_fails_no_question_and_its_pod_is_named() {
    let stage = Stage::new("sidecar-hangs", &[]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator'}
  autoscaling: {minReplicas: 2, maxReplicas: 2}
",
    );
    stage.wait_ready();
    stage.wait("the metric", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    // The oldest pod's is the one that is asked first.
    let mut pods = stage.pods();
    pods.sort_by_key(|pod| pod["metadata"]["creationTimestamp"].to_string());
    let hanging = &pods[0];
    let name = hanging["metadata"]["name"].as_str().expect("a name");
    let done = AtomicBool::new(false);
    let asked = scope(|scope| {
        let asker = scope.spawn(|| stage.ask_until(&done));
        let ends = Ends(&done);
        hang(hanging);
        stage.wait("Available=False names the pod", SOON, || {
            stage.condition("Available").2.contains(name)
        });
        let (_, reason, message) = stage.condition("Available");
        println!("Available=False, {reason}: {message}");
        assert!(
            message.contains("the container metrics of the pod"),
            "{message}"
        );
        // Its liveness probe fails: the kubelet starts it again.
        stage.wait_ready();
        drop(ends);
        asker.join().expect("the asker ends")
    });
    println!("{} questions, {} failed", asked.count, asked.failed.len());
    assert!(asked.count > 20, "only {} questions", asked.count);
    assert_eq!(asked.failed, Vec::<String>::new());
    let after = stage.get("pod", name);
    let restarts = &after["status"]["initContainerStatuses"][0]["restartCount"];
    assert_eq!(restarts, 1, "the sidecar alone was started again");
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0);
}

/// Stops the sidecar's process where it is.
fn hang(pod: &Value) {
    let socket = std::env::var("CIO_E2E_CONTAINERD").expect("a socket; run: make test-e2e");
    let status = &pod["status"]["initContainerStatuses"][0];
    assert_eq!(status["name"], "metrics");
    let id = status["containerID"].as_str().expect("a container");
    let id = id.trim_start_matches("containerd://");
    let tasks = run("ctr", &["-a", &socket, "-n", "k8s.io", "tasks", "ls"]);
    let task = tasks.lines().find(|line| line.starts_with(id));
    let pid = task.and_then(|line| line.split_whitespace().nth(1));
    run("kill", &["-STOP", pid.expect("a running task")]);
}
