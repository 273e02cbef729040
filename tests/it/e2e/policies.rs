//! Where the network enforces `NetworkPolicies`: the chart's and the example's let through what is needed, and
//! nothing else.

use super::security::helm_test;
use super::support::{CHART, SOON, Stage, install, run, try_run};

const EXAMPLE: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/network-policies/pipelines.yaml"
));
const VALUES: &str = "networkPolicy.enabled=true,\
    networkPolicy.scrapers[0].namespaceSelector.matchLabels.prometheus=ours";
/// The stage's Redis and simulator, which denying by default would cut off. The simulator is no Customer.io
/// at port 443.
const STAGE: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: redis-and-simulator}
spec:
  podSelector: {matchExpressions: [{key: app, operator: In, values: [redis, simulator]}]}
  policyTypes: [Ingress, Egress]
  ingress: [{}]
  egress: [{}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: workers-to-simulator}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/managed-by: cio-operator}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: simulator}}}]}]
";

#[test]
#[ignore = "needs a cluster whose network enforces policies: make test-policies"]
fn each_policy_lets_through_what_is_needed_and_nothing_else() {
    let stage = Stage::new("policies", &[]);
    let metrics = [("operator", 8080), ("adapter", 8081)];
    for (part, port) in metrics {
        assert_eq!(ask(&stage, part, port), Answer::Http, "{part}, before");
    }
    install(CHART, &["--set", VALUES]);
    let parts: Vec<&str> = EXAMPLE.split("\n---\n").collect();
    let [deny, outwards, inwards] = parts[..] else {
        panic!("{} policies", parts.len());
    };
    apply("cio-system", deny);
    apply(&stage.namespace, &format!("{deny}\n---{STAGE}"));
    for (part, port) in metrics {
        stage.wait(&format!("{part} is closed to strangers"), SOON, || {
            ask(&stage, part, port) == Answer::None
        });
    }

    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator'}
  delivery: {mode: Single}
  autoscaling: {behavior: {scaleUp: {stabilizationWindowSeconds: 0}}}
",
    );
    let reason = || stage.condition("MetricsAvailable").1;
    let cut_off = || {
        let pods = stage.pods();
        let says_so = |pod: &serde_json::Value| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            // Before it has started there is no log, which is no failure.
            let log = stage.try_kubectl(&["logs", name, "-c", "metrics"], None);
            String::from_utf8_lossy(&log.stdout).contains("failed to read the queue")
        };
        pods.len() == 2 && pods.iter().all(says_so)
    };
    stage.wait_ready();
    // What pods connected to before the network knew of them goes on until it ends.
    stage.kubectl(&["rollout", "restart", "deployment/redis"]);
    stage.wait("no sidecar reaches Redis", SOON, cut_off);
    apply(&stage.namespace, outwards);
    stage.wait("nobody reaches a sidecar", SOON, || {
        reason() == "SidecarUnreachable"
    });
    apply(&stage.namespace, inwards);
    stage.wait_ready();
    stage.wait("the HPA knows the depth", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    stage.produce(4000);
    stage.wait("pods are added", SOON, || stage.replicas() > 2);
    stage.wait("everything is delivered", SOON, || {
        stage.finished("completed") == 4000
    });
    helm_test();
}

fn apply(namespace: &str, policies: &str) {
    let arguments = ["--namespace", namespace, "apply", "-f", "-"];
    let applied = try_run("kubectl", &arguments, Some(policies));
    assert!(applied.status.success(), "{applied:?}");
}

/// What a stranger's TCP connection comes to.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Something that speaks no Redis.
    Http,
    /// There is no way.
    None,
}

/// Asks one of our pods from the pod of the stage's Redis: its client says what it met.
fn ask(stage: &Stage, component: &str, port: u16) -> Answer {
    let selector = format!("app.kubernetes.io/component={component}");
    let address = "jsonpath={.items[0].status.podIP}";
    let get = [
        "-n",
        "cio-system",
        "get",
        "pods",
        "-l",
        &selector,
        "-o",
        address,
    ];
    let (address, port) = (run("kubectl", &get), port.to_string());
    let client = ["exec", "deployment/redis", "--", "redis-cli"];
    let question = ["-h", &address, "-p", &port, "ping"];
    let output = stage.try_kubectl(&[&client[..], &question].concat(), None);
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    if words.contains("Protocol error") {
        Answer::Http
    } else if words.contains("Could not connect") {
        Answer::None
    } else {
        panic!("{component}: {words}");
    }
}
