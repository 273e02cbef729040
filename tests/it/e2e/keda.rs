//! Beside a real KEDA, the owner of `external.metrics.k8s.io`: both scale, and neither is in the other's way.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::security::helm_test;
use super::support::{CHART, SOON, Stage, install, run, try_install};
use super::ways::standing_backlog;

const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";
/// A Deployment that KEDA scales on a list in the stage's Redis: 20 entries, 5 for each pod.
const THEIRS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: theirs}
spec:
  selector: {matchLabels: {app: theirs}}
  template:
    metadata: {labels: {app: theirs}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: theirs
          image: cio-operator:dev
          imagePullPolicy: IfNotPresent
          args: [simulator]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: theirs}
spec:
  scaleTargetRef: {name: theirs}
  minReplicaCount: 1
  maxReplicaCount: 6
  pollingInterval: 2
  triggers: [{type: redis, metadata: {address: 'REDIS:6379', listName: theirs, listLength: '5'}}]
";

#[test]
#[ignore = "needs a cluster and KEDA: make test-keda"]
fn the_queue_scales_a_pipeline_while_keda_owns_the_external_metrics() {
    let stage = Stage::new("keda", &[]);
    let _keda = Keda::start();
    let owner = || {
        run(
            "kubectl",
            &["get", "apiservice", EXTERNAL, "-o", "jsonpath={.spec}"],
        )
    };
    let before = owner();
    stage.redis(&[&["rpush", "theirs"][..], &["job"; 20]].concat());
    let pod = &stage.list("pods", "app=redis")[0];
    let redis = pod["status"]["podIP"].as_str().expect("an address");
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(&THEIRS.replace("REDIS", redis)));
    assert!(applied.status.success(), "{applied:?}");
    // An upgrade beside it is an upgrade, and its group is not taken.
    install(CHART, &[]);
    let refused = try_install(CHART, &["--set", "metricsApi.external=true"]);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains(EXTERNAL) && error.contains("keda"),
        "{error}"
    );

    stage.pipeline(&standing_backlog("Pods"));
    stage.wait_ready();
    stage.produce(2000);
    let theirs = || stage.get("deployment", "theirs")["spec"]["replicas"].as_i64();
    stage.wait("4 pods each", SOON, || {
        (stage.replicas(), theirs()) == (4, Some(4))
    });
    let mut calm = 0;
    stage.wait("it stays so for 40 s", SOON, || {
        calm += 1;
        assert_eq!((stage.replicas(), theirs()), (4, Some(4)), "after {calm} s");
        calm == 40
    });
    assert_eq!(stage.condition("MetricsAvailable").0, "True");
    helm_test();
    assert_eq!(owner(), before, "somebody wrote their APIService");
    // KEDA's finalizer is KEDA's to take away.
    stage.kubectl(&["delete", "scaledobject", "theirs", "--timeout=60s"]);
}

/// KEDA's operator and adapter as processes beside the node, ended with the value.
struct Keda(Child);

impl Keda {
    fn start() -> Self {
        let mut child = Command::new("node")
            .arg("tests/bench/scale/beside.mjs")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs; run: make test-keda");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), "ready", "KEDA does not serve");
        Self(child)
    }
}

impl Drop for Keda {
    fn drop(&mut self) {
        // SIGKILL would leave its processes.
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        drop(asked);
        drop(self.0.wait());
    }
}
