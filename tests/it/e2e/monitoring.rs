//! A real Prometheus scrapes the sidecars, and its own tool likes their text.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

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
        let text = metrics_of(&stage, pod);
        let checked = try_run("promtool", &["check", "metrics"], Some(&text));
        let complaints = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(
            checked.status.success() && complaints.is_empty(),
            "{complaints}\n{text}"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let _prometheus = Prometheus::start(folder.path(), &pods);
    stage.wait("Prometheus has the depth from both pods", SOON, || {
        let found = query("cio_queue_depth{pipeline=\"events\"} > 100");
        found.len() == pods.len()
    });
    let found = query("bullmq_job_count{queue=\"cio-events\",state=\"waiting\"}");
    assert_eq!(found.len(), pods.len());
}

fn metrics_of(stage: &Stage, pod: &Value) -> String {
    let name = pod["metadata"]["name"].as_str().expect("a name");
    let namespace = &stage.namespace;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:9100/proxy/metrics");
    run("kubectl", &["get", "--raw", &path])
}

/// Debian's Prometheus, beside the node. It is built without Kubernetes discovery: the pods'
/// addresses are written into its configuration.
struct Prometheus(Child);

impl Prometheus {
    fn start(folder: &Path, pods: &[Value]) -> Self {
        let targets: Vec<String> = pods
            .iter()
            .map(|pod| {
                format!(
                    "'{}:9100'",
                    pod["status"]["podIP"].as_str().expect("an address")
                )
            })
            .collect();
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: sidecars\n  \
             static_configs: [{{targets: [{}]}}]\n",
            targets.join(", ")
        );
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config).expect("written");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.display()))
            .arg("--web.listen-address=127.0.0.1:19090")
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus runs; run: make test-e2e");
        Self(child)
    }
}

fn query(query: &str) -> Vec<Value> {
    let query = format!("query={query}");
    let url = "http://127.0.0.1:19090/api/v1/query";
    let output = try_run(
        "curl",
        &["-sS", "-G", url, "--data-urlencode", &query],
        None,
    );
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    reply["data"]["result"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
