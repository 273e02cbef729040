//! What the chart brings for Prometheus and Grafana, beside a real run.

use std::time::Duration;

use serde_json::{Value, json};

use super::chart::template;
use super::monitoring::{Prometheus, address, linted_metrics};
use super::support::{SOON, Stage, adapter_alone, operator_alone, run};

const EVERYTHING: [&str; 2] = [
    "--set",
    "monitoring.podMonitor.enabled=true,monitoring.rules.enabled=true,monitoring.dashboard.enabled=true,\
     networkPolicy.enabled=true,monitoring.rules.runbooks=https://runbooks.example.com/cio",
];

fn dashboard() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/charts/cio-operator/files/dashboard.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).expect("the dashboard")).expect("JSON")
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn monitoring_and_network_policies_render_to_these_objects() {
    let kinds = ["PodMonitor", "NetworkPolicy"];
    let mut objects = template(&EVERYTHING);
    objects.retain(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    assert_eq!(objects.len(), 5);
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_yaml_snapshot!("observability", objects);
    });
    let nothing = template(&[]);
    let extra = |object: &&Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        kinds.iter().any(|kind| object["kind"] == *kind)
            || object["kind"] == "PrometheusRule"
            || name.ends_with("-dashboard")
    };
    assert_eq!(nothing.iter().find(extra), None);
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn the_rules_are_the_tested_ones_with_the_address_of_the_runbooks() {
    let objects = template(&EVERYTHING);
    let rule = objects
        .iter()
        .find(|object| object["kind"] == "PrometheusRule");
    let rule = rule.expect("a PrometheusRule");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/charts/cio-operator/files/alerts.yaml"
    );
    let text = std::fs::read_to_string(file).expect("the alerts");
    let text = text.replace(
        "runbook_url: RUNBOOKS/",
        "runbook_url: https://runbooks.example.com/cio/",
    );
    let tested: Value = serde_saphyr::from_str(&text).expect("YAML");
    assert_eq!(rule["spec"], tested);
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn without_the_address_of_the_runbooks_an_alert_has_no_link() {
    for more in [
        &[][..],
        &["--set", "monitoring.rules.runbooks=docs/runbooks"],
    ] {
        let objects = template(&[&["--set", "monitoring.rules.enabled=true"], more].concat());
        let rule = objects
            .iter()
            .find(|object| object["kind"] == "PrometheusRule");
        let text = rule.expect("a PrometheusRule").to_string();
        assert!(text.contains("CioNoLeader"), "{text}");
        assert!(!text.contains("runbook"), "{more:?}: {text}");
    }
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn nobody_misses_an_adapter_that_is_not_wanted() {
    let names = |more: &[&str]| -> Vec<String> {
        let objects = template(&[&EVERYTHING, more].concat());
        let rule = objects
            .iter()
            .find(|object| object["kind"] == "PrometheusRule");
        let groups = &rule.expect("a PrometheusRule")["spec"]["groups"];
        let groups = groups.as_array().expect("groups").iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
        let name = |rule: &Value| rule["alert"].as_str().expect("a name").to_owned();
        rules.map(name).collect()
    };
    let mut wanted = names(&[]);
    wanted.retain(|name| name != "CioAdapterDown");
    assert_eq!(names(&["--set", "metricsApi.mode=none"]), wanted);
    assert_ne!(names(&[]), wanted);
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn grafana_finds_the_dashboard_by_its_label() {
    let objects = template(&EVERYTHING);
    let named = |object: &&Value| object["metadata"]["name"] == "cio-cio-operator-dashboard";
    let map = objects.iter().find(named).expect("a ConfigMap");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let text = map["data"]["cio-pipelines.json"].as_str().expect("JSON");
    assert_eq!(
        serde_json::from_str::<Value>(text).expect("JSON"),
        dashboard()
    );
}

/// Each right that is given, as where, who and what by.
fn bindings(objects: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("everywhere").to_owned();
    let given = objects.iter().filter(|it| {
        it["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("RoleBinding"))
    });
    given
        .map(|it| {
            let (who, what) = (&it["subjects"][0]["name"], &it["roleRef"]["name"]);
            format!(
                "{}: {} by {}",
                text(&it["metadata"]["namespace"]),
                text(who),
                text(what)
            )
        })
        .collect()
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn with_watch_namespaces_no_right_over_workloads_is_given_elsewhere() {
    let objects = template(&["--set", "watchNamespaces={shop,billing}"]);
    let mut bindings = bindings(&objects);
    // The API server is asked about callers and APIServices, which are in no namespace.
    bindings.retain(|it| {
        !it.contains("system:auth-delegator")
            && !it.starts_with("kube-system: ")
            && !it.starts_with("cio-system: ")
    });
    bindings.sort();
    let (operator, adapter) = ("cio-cio-operator-operator", "cio-cio-operator-adapter");
    let expected = [
        format!("billing: {adapter} by {adapter}"),
        format!("billing: {operator} by {operator}"),
        format!("everywhere: {adapter} by {adapter}"),
        format!("everywhere: {operator} by {operator}-certificate"),
        format!("shop: {adapter} by {adapter}"),
        format!("shop: {operator} by {operator}"),
    ];
    assert_eq!(bindings, expected);
    for name in [adapter.to_owned(), format!("{operator}-certificate")] {
        let role = objects
            .iter()
            .find(|it| it["kind"] == "ClusterRole" && it["metadata"]["name"] == *name);
        let rules = role.expect("the role")["rules"].as_array().expect("rules");
        let resources: Vec<_> = rules.iter().map(|rule| rule["resources"].clone()).collect();
        assert_eq!(resources, [json!(["apiservices"])], "{name}");
    }
    for (part, variable) in [
        (operator, "CIO_OPERATOR_NAMESPACES"),
        (adapter, "CIO_ADAPTER_NAMESPACES"),
    ] {
        let deployment = objects
            .iter()
            .find(|it| it["kind"] == "Deployment" && it["metadata"]["name"] == part);
        let env =
            &deployment.expect("a Deployment")["spec"]["template"]["spec"]["containers"][0]["env"];
        let set = env
            .as_array()
            .expect("variables")
            .iter()
            .find(|it| it["name"] == variable);
        assert_eq!(set.expect(variable)["value"], "shop,billing");
    }
}

/// The pods of a part of the chart.
fn part(name: &str) -> Vec<Value> {
    let selector = format!("app.kubernetes.io/component={name}");
    let arguments = [
        "get",
        "pods",
        "-n",
        "cio-system",
        "-l",
        &selector,
        "-o",
        "json",
    ];
    let list: Value = serde_json::from_str(&run("kubectl", &arguments)).expect("JSON");
    list["items"].as_array().expect("items").clone()
}

/// A scrape target with the labels that a `PodMonitor` gives.
fn target(pod: &Value, port: u16, pipeline: Option<&str>) -> String {
    let mut labels = json!({
        "namespace": pod["metadata"]["namespace"],
        "pod": pod["metadata"]["name"],
    });
    if let Some(pipeline) = pipeline {
        labels["pipeline"] = pipeline.into();
    }
    format!("{{targets: [{}], labels: {labels}}}", address(pod, port))
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn every_panel_of_the_dashboard_shows_something_of_a_real_run() {
    let stage = Stage::new("dashboard", &["--latency", "20"]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 40}}
  delivery: {mode: Single}
",
    );
    stage.wait_ready();
    // Prometheus knows operators and adapters by their addresses: none may be replaced meanwhile.
    let _alone = (operator_alone(), adapter_alone());
    let mut targets = Vec::new();
    for pod in stage.pods() {
        targets.push(target(&pod, 9100, Some("events")));
        targets.push(target(&pod, 9101, Some("events")));
    }
    for (name, port) in [("operator", 8080), ("adapter", 8081)] {
        let pods = part(name);
        assert!(!pods.is_empty(), "no {name}");
        for pod in pods {
            linted_metrics(&pod, port);
            targets.push(target(&pod, port, None));
        }
    }
    let prometheus = Prometheus::start(19091, &format!("[{}]", targets.join(", ")));
    stage.produce(6000);
    stage.wait("a while of delivery was scraped", SOON, || {
        let delivered =
            "max_over_time(rate(cio_delivery_jobs_total{outcome=\"delivered\"}[20s])[30s:1s]) > 0";
        !prometheus.query(delivered).is_empty()
    });
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut silent: Vec<String> = Vec::new();
    stage.wait(
        "every panel shows something",
        Duration::from_secs(90),
        || {
            silent = panels
                .iter()
                .flat_map(|panel| {
                    let targets = panel["targets"].as_array().cloned().unwrap_or_default();
                    targets
                        .into_iter()
                        .map(|target| (panel["title"].clone(), target))
                })
                .map(|(title, target)| (title, query(&target, &stage.namespace)))
                .filter(|(_, query)| !prometheus.query(query).iter().any(is_number))
                .map(|(title, query)| format!("{title}: {query}"))
                .collect();
            for line in &silent {
                println!("nothing in {line}");
            }
            silent.is_empty()
        },
    );
}

/// A panel's query with Grafana's variables filled in.
fn query(target: &Value, namespace: &str) -> String {
    let query = target["expr"].as_str().expect("a query");
    query
        .replace("$namespace", namespace)
        .replace("$pipeline", "events")
        .replace("$__rate_interval", "30s")
}

fn is_number(series: &Value) -> bool {
    series["value"][1]
        .as_str()
        .is_some_and(|value| value != "NaN")
}
