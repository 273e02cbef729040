//! The chart's alerts and dashboard, beside what the program serves and what people read at night.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What other programs serve, or other parts that have no reference here.
const NOT_OURS: [&str; 5] = [
    "cio_leader",
    "kube_deployment_spec_replicas",
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "kube_horizontalpodautoscaler_spec_min_replicas",
    "kube_horizontalpodautoscaler_status_desired_replicas",
];

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn alerts() -> Vec<Value> {
    let rules: Value =
        serde_saphyr::from_str(&read("charts/cio-operator/files/alerts.yaml")).unwrap();
    let groups = rules["groups"].as_array().expect("groups");
    groups
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules").clone())
        .collect()
}

fn names() -> BTreeSet<String> {
    alerts()
        .iter()
        .map(|alert| alert["alert"].as_str().expect("a name").to_owned())
        .collect()
}

fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .output()
        .expect("promtool runs; run: scripts/setup");
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}{errors}");
}

#[test]
fn each_alert_fires_where_it_should_and_nowhere_else() {
    let rules = at("charts/cio-operator/files/alerts.yaml");
    promtool(&["check", "rules", rules.to_str().expect("UTF-8")]);
    let tests = read("tests/it/alerts/alerts_test.yaml");
    for name in names() {
        assert!(
            tests.contains(&format!("alertname: {name}")),
            "{name} has no test"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("test.yaml");
    let tests = tests.replace("[RULES]", &format!("['{}']", rules.display()));
    std::fs::write(&file, tests).expect("written");
    promtool(&["test", "rules", file.to_str().expect("UTF-8")]);
}

#[test]
fn each_alert_has_its_runbook_and_each_runbook_its_alert() {
    let files = std::fs::read_dir(at("docs/runbooks")).expect("the runbooks");
    let pages: BTreeSet<String> = files
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .filter(|name| name != "README")
        .collect();
    assert_eq!(names(), pages);
    let index = read("docs/runbooks/README.md");
    for alert in alerts() {
        let name = alert["alert"].as_str().expect("a name");
        let url = format!("RUNBOOKS/{name}.md");
        assert_eq!(
            alert["annotations"]["runbook_url"],
            Value::from(url),
            "{name}"
        );
        assert!(
            index.contains(&format!("]({name}.md)")),
            "{name} is not in the index"
        );
        for part in ["\n## Look\n", "\n## Do\n"] {
            let page = read(&format!("docs/runbooks/{name}.md"));
            assert!(page.contains(part), "{name} has no part {part:?}");
        }
    }
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let reference = read("docs/metrics.md");
    let dashboard: Value =
        serde_json::from_str(&read("charts/cio-operator/files/dashboard.json")).unwrap();
    let alerts = alerts();
    let asked: Vec<&str> = alerts
        .iter()
        .map(|alert| alert["expr"].as_str().expect("an expression"))
        .chain(expressions(&dashboard))
        .collect();
    assert!(asked.len() > 40, "only {} expressions", asked.len());
    for expression in asked {
        for name in metrics(expression) {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|it| name.strip_suffix(it));
            let served = [Some(name), base]
                .into_iter()
                .flatten()
                .any(|it| reference.contains(&format!("`{it}`")));
            assert!(served || NOT_OURS.contains(&name), "{name} in {expression}");
        }
    }
}

/// The queries of every panel.
fn expressions(dashboard: &Value) -> impl Iterator<Item = &str> {
    let panels = dashboard["panels"].as_array().expect("panels");
    panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target["expr"].as_str().expect("a query"))
}

/// The names in a query that only a metric can have.
fn metrics(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    words
        .filter(|word| {
            ["cio_", "bullmq_", "kube_"]
                .iter()
                .any(|it| word.starts_with(it))
        })
        .collect()
}
