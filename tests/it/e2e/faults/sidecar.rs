//! A sidecar hangs: another one is asked, and the pipeline names its pod. What stands where a
//! sidecar should, and counts another queue, is not believed.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::super::support::{SOON, Stage, run};

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
    stage.is_answered_during(20, || {
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
    });
    let after = stage.get("pod", name);
    let restarts = &after["status"]["initContainerStatuses"][0]["restartCount"];
    assert_eq!(restarts, 1, "the sidecar alone was started again");
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0);
}

/// A sidecar of the queue `other` in a pod that says it is one of the pipeline `events`.
const LIAR: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: liar}
spec:
  selector: {matchLabels: {app: liar}}
  template:
    metadata: {labels: {app: liar, cio.dev/pipeline: events}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      initContainers:
        - name: metrics
          image: cio-operator:dev
          imagePullPolicy: IfNotPresent
          restartPolicy: Always
          args: [metrics, --queue, other, --redis-url, 'redis://redis:6379']
          ports: [{name: metrics, containerPort: 9100}]
          readinessProbe: {httpGet: {path: /readyz, port: 9100}, periodSeconds: 1}
          securityContext: &nothing {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
      containers:
        - name: worker
          image: cio-operator:dev
          imagePullPolicy: IfNotPresent
          args: [simulator]
          securityContext: *nothing
";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_sidecar_that_counts_another_queue_is_not_believed() {
    const JOBS: u32 = 300;
    let stage = Stage::new("sidecar-lies", &[]);
    let jobs = "for i = 1, 50000 do redis.call('rpush', 'bull:other:wait', i) end";
    stage.redis(&["eval", jobs, "0"]);
    // It is there first: the oldest is the one that is asked first.
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(LIAR));
    assert!(applied.status.success(), "{applied:?}");
    stage.kubectl(&["rollout", "status", "deployment/liar", "--timeout=120s"]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 1}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 2, maxReplicas: 2}
",
    );
    stage.wait_ready();
    stage.produce(JOBS);
    let total = || stage.shares().iter().sum::<f64>();
    stage.wait("the jobs are counted", SOON, || total() > 0.0);
    // The other adapter may answer for two seconds more what it was told before.
    sleep(Duration::from_secs(3));
    let most = f64::from(JOBS);
    for _ in 0..20 {
        let depth = total();
        assert!(depth > 0.0 && depth <= most, "{depth}");
        sleep(Duration::from_secs(1));
    }
    stage.wait("the status has the depth", SOON, || {
        let depth = &stage.get("ciop", "events")["status"]["queueDepth"];
        depth.as_u64().is_some_and(|depth| depth > 0)
    });
    let pipeline = stage.get("ciop", "events");
    let depth = pipeline["status"]["queueDepth"].as_u64();
    let ours = depth.is_some_and(|depth| depth <= u64::from(JOBS));
    assert!(ours, "{pipeline}");
    assert_eq!(stage.condition("MetricsAvailable").0, "True");
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
