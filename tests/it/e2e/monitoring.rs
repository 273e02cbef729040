//! A real Prometheus scrapes the sidecars, and its own tool likes their text.

use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::support::{SOON, Stage, run, try_run};

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn prometheus_scrapes_the_sidecars() {
    let stage = Stage::new("prometheus", &[]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 1}}
  delivery: {mode: Single}
",
    );
    stage.wait_ready();
    stage.produce(300);
    let pods = stage.pods();
    for pod in &pods {
        linted_metrics(pod, 9100);
    }
    let targets: Vec<String> = pods.iter().map(|pod| address(pod, 9100)).collect();
    let targets = format!("[{{targets: [{}]}}]", targets.join(", "));
    let prometheus = Prometheus::start(19090, &targets);
    stage.wait("Prometheus has the depth from both pods", SOON, || {
        let found = prometheus.query("cio_queue_depth{pipeline=\"events\"} > 100");
        found.len() == pods.len()
    });
    let found = prometheus.query("bullmq_job_count{queue=\"cio-events\",state=\"waiting\"}");
    assert_eq!(found.len(), pods.len());
}

/// Where a pod listens, as Prometheus' configuration has it.
pub(super) fn address(pod: &Value, port: u16) -> String {
    let ip = pod["status"]["podIP"].as_str().expect("an address");
    format!("'{ip}:{port}'")
}

/// What a pod serves at `/metrics`, after promtool has found nothing wrong with it.
pub(super) fn linted_metrics(pod: &Value, port: u16) -> String {
    let field = |name: &str| pod["metadata"][name].as_str().expect("a name").to_owned();
    let (namespace, name) = (field("namespace"), field("name"));
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
    let text = run("kubectl", &["get", "--raw", &path]);
    let checked = try_run("promtool", &["check", "metrics"], Some(&text));
    let complaints = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(
        checked.status.success() && complaints.is_empty(),
        "{complaints}\n{text}"
    );
    text
}

/// Debian's Prometheus, beside the node. It is built without Kubernetes discovery: the pods'
/// addresses are written into its configuration.
pub(super) struct Prometheus {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes `targets`, a list of `static_configs` in YAML's flow style, every second.
    pub(super) fn start(port: u16, targets: &str) -> Self {
        Self::discovering(port, &format!("static_configs: {targets}"))
    }

    /// Scrapes what a service discovery finds, one line of YAML, every second.
    pub(super) fn discovering(port: u16, discovery: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/charts/cio-operator/files/alerts.yaml"
        );
        let config = format!(
            "global: {{scrape_interval: 1s}}\nrule_files: ['{rules}']\nscrape_configs:\n\
             - job_name: pods\n  honor_labels: true\n  {discovery}\n"
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("written");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus runs; run: make test-e2e");
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    /// The series that a query finds now.
    pub(super) fn query(&self, query: &str) -> Vec<Value> {
        let query = format!("query={query}");
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let arguments = ["-sS", "-G", &url, "--data-urlencode", &query];
        let output = try_run("curl", &arguments, None);
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        reply["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
