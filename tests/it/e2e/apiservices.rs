//! An `APIService` of somebody else: it is never taken over, and whoever needs it is told.
//!
//! These tests run before all others and with none beside them: the API has one owner in a cluster.

use serde_json::{Value, json};

use super::doctor::{doctor, find};
use super::support::{CHART, SOON, Stage, installed_as, run, try_install, try_run, wait_for};

const NAME: &str = "v1beta1.custom.metrics.k8s.io";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn an_api_service_of_somebody_else_stays_as_it_is_and_everybody_says_whose_it_is() {
    let releases = json!({
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": "prometheus-adapter",
            "meta.helm.sh/release-namespace": "monitoring",
        },
    });
    let ours_by_its_labels = json!({
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {
            "meta.helm.sh/release-name": "cio",
            "meta.helm.sh/release-namespace": "cio-system",
        },
    });
    for metadata in [json!({}), releases, ours_by_its_labels] {
        let theirs = Foreign::new(&metadata, "monitoring");
        let before = theirs.settled();
        for force in [&[][..], &["--take-ownership"], &["--force-conflicts"]] {
            let refused = try_install(CHART, force);
            let error = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success(), "{metadata} {force:?}");
            let whose = format!("{NAME} belongs to Service monitoring/prometheus-adapter");
            for part in [
                &whose,
                "metricsApi.mode=prometheus-adapter",
                "metricsApi.mode=none",
            ] {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
        }
        assert_eq!(theirs.bytes(), before, "a refused install changed it");
    }

    let theirs = Foreign::new(&json!({}), "monitoring");
    let before = theirs.settled();
    installed_as("metricsApi.mode=none");
    the_pipeline_and_the_doctor_say_what_to_do();
    assert_eq!(theirs.bytes(), before, "it is not what it was");
}

fn the_pipeline_and_the_doctor_say_what_to_do() {
    let stage = Stage::new("apiservices", &[]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}");
    stage.wait("the condition names the remedy", SOON, || {
        let (status, reason, message) = stage.condition("MetricsAvailable");
        (status.as_str(), reason.as_str()) == ("False", "FailedGetPodsMetric")
            && message.contains("whose custom.metrics.k8s.io is")
            && message.contains("spec.autoscaling.metricSource: External")
    });
    assert_eq!(stage.replicas(), 2);
    let checks = doctor(&stage);
    let found = find(&checks, "metrics-api");
    assert_eq!(found["verdict"], "failure", "{checks:#?}");
    let finding = found["finding"].as_str().unwrap_or_default();
    assert!(
        finding.contains(NAME) && finding.contains("monitoring/prometheus-adapter"),
        "{finding}"
    );
}

/// An `APIService` that the project has not made; gone with the value.
pub(super) struct Foreign {
    name: &'static str,
}

impl Foreign {
    /// One that points at Service prometheus-adapter in `namespace`, with this `metadata`.
    pub(super) fn new(metadata: &Value, namespace: &str) -> Self {
        let mut metadata = metadata.clone();
        metadata["name"] = NAME.into();
        let object = json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": metadata,
            "spec": {
                "group": "custom.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "insecureSkipTLSVerify": true,
                "service": {"name": "prometheus-adapter", "namespace": namespace},
            },
        });
        let created = try_run("kubectl", &["create", "-f", "-"], Some(&object.to_string()));
        let error = String::from_utf8_lossy(&created.stderr);
        assert!(created.status.success(), "{error}");
        Self { name: NAME }
    }

    /// The whole object as the API server shows it, once it has said whether it is available.
    fn settled(&self) -> String {
        wait_for("the API server has judged it", SOON, String::new, || {
            self.bytes().contains("\"Available\"")
        });
        self.bytes()
    }

    /// The whole object, its `resourceVersion` and who wrote which field included.
    pub(super) fn bytes(&self) -> String {
        run(
            "kubectl",
            &[
                "get",
                "apiservice",
                self.name,
                "-o",
                "json",
                "--show-managed-fields",
            ],
        )
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        try_run("kubectl", &["delete", "apiservice", self.name], None);
    }
}
