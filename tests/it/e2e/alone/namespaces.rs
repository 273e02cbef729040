//! A chart that may look at one namespace alone: pipelines there work, others are left alone.

use super::super::support::{CHART, SOON, Stage, install, run, system, try_install, try_run};

const SPEC: &str = "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 1}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 1, maxReplicas: 1}
";

/// The chart looks at every namespace again with its end, also when the test fails: others need it.
struct Back;

impl Drop for Back {
    fn drop(&mut self) {
        try_install(CHART, &[]);
    }
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn with_watch_namespaces_pipelines_work_there_and_nowhere_else() {
    let watched = Stage::new("watched", &[]);
    let other = Stage::empty("not-watched");
    let one = format!("watchNamespaces={{{}}}", watched.namespace);
    let back = Back;
    install(CHART, &["--set", &one]);
    // First the one that nobody looks at: by the time the second is well, it had its chance.
    other.pipeline(SPEC);
    watched.pipeline(SPEC);
    watched.wait_ready();
    watched.produce(200);
    watched.wait("the HPA has its metric", SOON, || {
        watched.condition("MetricsAvailable").0 == "True"
            && watched.shares().iter().sum::<f64>() > 0.0
    });
    let untouched = other.get("ciopipeline", "events");
    // The schema's own word for "never looked at".
    assert_eq!(untouched["status"]["observedGeneration"], -1, "{untouched}");
    assert!(other.get("deployment", "events-worker").is_null());
    for (namespace, allowed) in [(&watched.namespace, "yes"), (&other.namespace, "no")] {
        let account = "system:serviceaccount:cio-system:cio-cio-operator-operator";
        let may = ["auth", "can-i", "create", "deployments", "--as", account];
        // "no" is an exit code too.
        let arguments = [&may[..], &["-n", namespace]].concat();
        let answer = try_run("kubectl", &arguments, None);
        let said = String::from_utf8_lossy(&answer.stdout);
        assert_eq!(said.trim(), allowed, "{namespace}");
    }

    // One of two is deleted, with the rights in it. Who starts anew does not wait for it.
    let gone = Stage::empty("watched-gone");
    let both = format!(
        "watchNamespaces={{{},{}}}",
        watched.namespace, gone.namespace
    );
    install(CHART, &["--set", &both]);
    run("kubectl", &["delete", "namespace", &gone.namespace]);
    for part in ["operator", "adapter"] {
        let deployment = format!("deployment/cio-cio-operator-{part}");
        system(&["rollout", "restart", &deployment]);
        system(&["rollout", "status", &deployment, "--timeout=2m"]);
    }
    let patch = r#"{"spec":{"autoscaling":{"minReplicas":2,"maxReplicas":2}}}"#;
    watched.patch(patch);
    watched.wait("who started anew scales the other", SOON, || {
        watched.pods().len() == 2 && watched.shares().len() == 2
    });

    // Without the list the other is found as well.
    drop(back);
    other.wait("the other has its worker", SOON, || {
        !other.get("deployment", "events-worker").is_null()
    });
    let bindings = [
        "-n",
        &watched.namespace,
        "get",
        "rolebindings",
        "-o",
        "name",
    ];
    assert_eq!(run("kubectl", &bindings).trim(), "");
}
