//! The real HPA scales pipelines on what other adapters serve, and on ours beside them: each program real.
//!
//! These tests run before all others and with none beside them: the API has one owner in a cluster.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::apiservices::Foreign;
use super::monitoring::{Prometheus, linted_metrics};
use super::scaling::QUICK;
use super::security::helm_test;
use super::support::{SOON, Stage, installed_as, run};

const PROMETHEUS: u16 = 19092;
const ADAPTER: u16 = 16443;

#[test]
#[ignore = "needs a cluster and prometheus-adapter: make test-e2e"]
fn prometheus_adapter_with_the_rule_of_the_chart_scales_from_2_pods_to_4() {
    installed_as("metricsApi.mode=prometheus-adapter");
    let stage = Stage::new("prometheus-adapter", &[]);
    let targets = Targets::new();
    let discovery = format!(
        "file_sd_configs: [{{files: ['{}'], refresh_interval: 1s}}]",
        targets.file()
    );
    let _prometheus = Prometheus::discovering(PROMETHEUS, &discovery);
    let _adapter = PrometheusAdapter::start(&stage);
    let theirs = Foreign::new(&json!({}), &stage.namespace);
    let before = spec(&theirs);
    stage.pipeline(&standing_backlog("Pods"));
    stage.wait_ready();
    for pod in stage.pods() {
        linted_metrics(&pod, 9100);
    }
    stage.produce(2000);
    let mut most = 0;
    stage.wait("4 pods, by prometheus-adapter", SOON, || {
        targets.write(&stage);
        most = most.max(stage.replicas());
        stage.replicas() == 4
    });
    let mut calm = 0;
    stage.wait("it stays so for 40 s", SOON, || {
        targets.write(&stage);
        most = most.max(stage.replicas());
        calm += 1;
        calm == 40
    });
    assert_eq!((most, stage.replicas()), (4, 4));
    assert_eq!(stage.condition("MetricsAvailable").0, "True");
    let shares = stage.shares();
    assert_eq!(shares.len(), 4, "{shares:?}");
    let sum: f64 = shares.iter().sum();
    assert!((1500.0..=2000.0).contains(&sum), "{shares:?}");
    helm_test();
    assert_eq!(spec(&theirs), before, "somebody wrote their APIService");
}

#[test]
#[ignore = "needs a cluster and prometheus-adapter: make test-e2e"]
fn the_external_metric_of_our_adapter_scales_beside_prometheus_adapter() {
    installed_as("metricsApi.mode=prometheus-adapter,metricsApi.external=true");
    let stage = Stage::new("external", &[]);
    let _prometheus = Prometheus::discovering(PROMETHEUS, "static_configs: []");
    let _adapter = PrometheusAdapter::start(&stage);
    let theirs = Foreign::new(&json!({}), &stage.namespace);
    let before = spec(&theirs);
    stage.pipeline(&standing_backlog("External"));
    stage.wait_ready();
    stage.produce(2000);
    let mut most = 0;
    stage.wait("4 pods, by our external metric", SOON, || {
        most = most.max(stage.replicas());
        stage.replicas() == 4
    });
    let mut calm = 0;
    stage.wait("it stays so for 40 s", SOON, || {
        most = most.max(stage.replicas());
        calm += 1;
        calm == 40
    });
    assert_eq!((most, stage.replicas()), (4, 4));
    assert_eq!(stage.condition("MetricsAvailable").0, "True");
    let total = external(&stage, "pipeline%3Devents");
    assert!((1500..=2000).contains(&total[0]), "{total:?}");
    assert_eq!(external(&stage, "pipeline%3Dother"), Vec::<u64>::new());
    helm_test();
    assert_eq!(spec(&theirs), before, "somebody wrote their APIService");
}

/// The values of the external metric, as the HPA asks for them.
fn external(stage: &Stage, selector: &str) -> Vec<u64> {
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/cio_queue_depth?labelSelector={selector}",
        stage.namespace
    );
    let list: Value =
        serde_json::from_str(&run("kubectl", &["get", "--raw", &path])).expect("JSON");
    let items = list["items"].as_array().expect("items").iter();
    items
        .map(|it| {
            it["value"]
                .as_str()
                .expect("a quantity")
                .parse()
                .expect("jobs")
        })
        .collect()
}

/// A pipeline whose queue hardly drains, and whose HPA acts at once.
pub(super) fn standing_backlog(source: &str) -> String {
    format!(
        "  workspace: {{endpoint: 'http://simulator', rateLimit: {{requestsPerSecond: 1}}}}
  delivery: {{mode: Single}}
  autoscaling:
    metricSource: {source}{QUICK}"
    )
}

/// What is theirs: the API server itself writes the status.
fn spec(theirs: &Foreign) -> Value {
    let object: Value = serde_json::from_str(&theirs.bytes()).expect("JSON");
    object["spec"].clone()
}

/// The pods for Prometheus to scrape, labelled as a `PodMonitor` labels them.
struct Targets(TempDir);

impl Targets {
    fn new() -> Self {
        let targets = Self(tempfile::tempdir().expect("a folder"));
        std::fs::write(targets.file(), "[]").expect("written");
        targets
    }

    fn file(&self) -> String {
        self.0.path().join("targets.json").display().to_string()
    }

    fn write(&self, stage: &Stage) {
        let target = |pod: &Value| {
            let address = pod["status"]["podIP"].as_str()?;
            let labels = json!({"namespace": stage.namespace, "pod": pod["metadata"]["name"]});
            Some(json!({"targets": [format!("{address}:9100")], "labels": labels}))
        };
        let targets: Vec<Value> = stage.pods().iter().filter_map(target).collect();
        std::fs::write(self.file(), json!(targets).to_string()).expect("written");
    }
}

/// The real prometheus-adapter beside the node, behind a Service.
struct PrometheusAdapter {
    child: Child,
    _folder: TempDir,
}

impl PrometheusAdapter {
    /// With the rule that the chart has installed.
    fn start(stage: &Stage) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = "go-template={{index .data \"config.yaml\"}}";
        let rules = run(
            "kubectl",
            &[
                "-n",
                "cio-system",
                "get",
                "configmap",
                "cio-cio-operator-prometheus-adapter",
                "-o",
                rules,
            ],
        );
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, rules).expect("written");
        let kubeconfig = std::env::var("KUBECONFIG").expect("set by cluster exec");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let child = Command::new("prometheus-adapter")
            .arg(format!("--lister-kubeconfig={kubeconfig}"))
            .arg(format!("--authentication-kubeconfig={kubeconfig}"))
            .arg(format!("--authorization-kubeconfig={kubeconfig}"))
            .arg(format!("--config={}", config.display()))
            .arg(format!("--prometheus-url=http://127.0.0.1:{PROMETHEUS}"))
            .arg(format!("--secure-port={ADAPTER}"))
            .arg(format!("--cert-dir={}", folder.path().display()))
            .arg("--metrics-relist-interval=2s")
            .arg("--metrics-max-age=30s")
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus-adapter runs; run: make test-e2e");
        serve(stage, "prometheus-adapter", ADAPTER);
        Self {
            child,
            _folder: folder,
        }
    }
}

impl Drop for PrometheusAdapter {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A Service for a program that runs beside the node.
fn serve(stage: &Stage, name: &str, port: u16) {
    let address = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}";
    let address = run("kubectl", &["get", "nodes", "-o", address]);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 443, "targetPort": port}]},
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"port": port}],
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [service, slice]});
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(&list.to_string()));
    let error = String::from_utf8_lossy(&applied.stderr);
    assert!(applied.status.success(), "{error}");
}
