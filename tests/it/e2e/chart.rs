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

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
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
fn what_only_renders_the_chart_renders_the_same_each_time_and_no_key() {
    let objects = template(&[]);
    assert_eq!(objects, template(&[]));
    let secrets: Vec<_> = of_kind(&objects, "Secret").collect();
    assert_eq!(secrets.len(), 1);
    assert!(secrets.iter().all(|secret| secret.get("data").is_none()));
    assert!(
        of_kind(&objects, "APIService").all(|service| service["spec"].get("caBundle").is_none())
    );
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn with_cert_manager_the_operator_has_no_right_to_a_secret() {
    let ours = template(&["--set", "metricsApi.certificate.certManager.enabled=true"]);
    assert_eq!(
        of_kind(&ours, "Certificate").count(),
        2,
        "an authority, and its certificate"
    );
    let issuer = "metricsApi.certificate.certManager.issuerRef";
    let enabled = "metricsApi.certificate.certManager.enabled=true";
    let theirs = format!("{issuer}.kind=ClusterIssuer,{issuer}.name=company");
    let theirs = template(&["--set", enabled, "--set", &theirs]);
    let certificates: Vec<_> = of_kind(&theirs, "Certificate").collect();
    assert_eq!(certificates.len(), 1);
    // What the runbook of CioCertificateExpiring selects by.
    let labels = &certificates[0]["spec"]["secretTemplate"]["labels"];
    assert_eq!(labels["app.kubernetes.io/component"], "adapter");
    assert_eq!(certificates[0]["spec"]["issuerRef"]["name"], "company");
    for objects in [&ours, &theirs] {
        assert_eq!(of_kind(objects, "Secret").count(), 0);
        let text = serde_json::to_string(objects).expect("JSON");
        assert!(!text.contains("\"secrets\""), "a rule about secrets");
        assert!(!text.contains("CIO_CERTIFICATE_SECRET"));
        let injected = |service: &Value| {
            service["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
                == "cio-system/cio-cio-operator-adapter"
        };
        assert!(of_kind(objects, "APIService").all(injected));
    }
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn without_the_adapter_no_api_service_is_touched() {
    for mode in ["none", "prometheus-adapter"] {
        let objects = template(&["--set", &format!("metricsApi.mode={mode}")]);
        assert_eq!(of_kind(&objects, "APIService").count(), 0, "{mode}");
        assert_eq!(of_kind(&objects, "Deployment").count(), 1, "{mode}");
        let rules = usize::from(mode == "prometheus-adapter");
        assert_eq!(of_kind(&objects, "ConfigMap").count(), rules, "{mode}");
    }
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn a_value_that_the_chart_does_not_know_is_refused() {
    for value in [
        "replicaCount=2",
        "operator.replicas=0",
        "operator.resource.limits=1",
        "metricsApi.mode=magic",
        "metricsApi.certificate.certManager.issuer=company",
        "metricsApi.certificate.certManager.issuerRef.kind=ClusterIssuer",
        "watchNamespaces={shop,shop}",
    ] {
        let output = try_run("helm", &["template", CHART, "--set", value], None);
        assert!(!output.status.success(), "{value} was accepted");
    }
}

#[test]
#[ignore = "needs helm: make test-e2e"]
fn the_pod_of_helm_test_runs_where_the_operator_may() {
    let base = [
        "template",
        "cio",
        CHART,
        "--show-only",
        "templates/tests/doctor.yaml",
    ];
    let values = [
        "--set",
        "operator.nodeSelector.pool=system",
        "--set",
        "operator.tolerations[0].key=system",
    ];
    let text = run("helm", &[&base[..], &values].concat());
    let documents = text.split("\n---\n");
    let pod = documents
        .map(|document| serde_saphyr::from_str::<Value>(document).expect("YAML"))
        .find(|object| object["kind"] == "Pod");
    let spec = &pod.expect("a pod")["spec"];
    assert_eq!(spec["nodeSelector"]["pool"], "system");
    assert_eq!(spec["tolerations"][0]["key"], "system");
}
