//! The chart: it lints, refuses what it does not know, and renders to what is written down.

use serde_json::Value;

use super::support::{run, try_run};

const CHART: &str = "charts/cio-operator";

pub(super) fn template(arguments: &[&str]) -> Vec<Value> {
    let base = [
        "template",
        "cio",
        CHART,
        "--namespace",
        "cio-system",
        "--skip-tests",
    ];
    let text = run("helm", &[&base[..], arguments].concat());
    text.split("\n---\n")
        .filter(|document| {
            document
                .lines()
                .any(|line| !line.starts_with('#') && line.contains(':'))
        })
        .map(|document| serde_saphyr::from_str(document).expect("YAML"))
        .collect()
}

/// Certificates are new in every rendering.
fn redact(object: &mut Value) {
    if object["kind"] == "Secret" {
        for value in object["data"].as_object_mut().expect("data").values_mut() {
            *value = "redacted".into();
        }
    }
    if object["kind"] == "APIService" {
        object["spec"]["caBundle"] = "redacted".into();
    }
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn the_chart_lints() {
    run("helm", &["lint", "--strict", CHART]);
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn the_chart_renders_to_these_objects() {
    let mut objects = template(&[]);
    objects.iter_mut().for_each(redact);
    objects.retain(|object| object["kind"] != "CustomResourceDefinition");
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_yaml_snapshot!("chart", objects);
    });
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn the_crd_stays_when_the_chart_goes_unless_told_otherwise() {
    let policy = |arguments: &[&str]| {
        let objects = template(arguments);
        let crd = objects
            .iter()
            .find(|object| object["kind"] == "CustomResourceDefinition");
        crd.map(|crd| crd["metadata"]["annotations"]["helm.sh/resource-policy"].clone())
    };
    assert_eq!(policy(&[]), Some("keep".into()));
    assert_eq!(policy(&["--set", "crds.keep=false"]), Some(Value::Null));
    assert_eq!(policy(&["--set", "crds.enabled=false"]), None);
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn without_the_adapter_no_api_service_is_touched() {
    let objects = template(&["--set", "metricsApi.mode=none"]);
    assert!(objects.iter().all(|object| object["kind"] != "APIService"));
    assert!(objects.iter().any(|object| object["kind"] == "Deployment"));
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn a_value_that_the_chart_does_not_know_is_refused() {
    for value in [
        "replicaCount=2",
        "operator.replicas=2",
        "operator.resource.limits=1",
        "metricsApi.mode=magic",
    ] {
        let output = try_run("helm", &["template", CHART, "--set", value], None);
        assert!(!output.status.success(), "{value} was accepted");
    }
}
