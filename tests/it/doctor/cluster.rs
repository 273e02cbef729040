//! With an API server.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::api_server::{Answers, ApiServer};
use super::{Checks, doctor};
use crate::support::process::Cio;
use crate::support::redis::{RedisServer, free_port};

const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ciopipelines.cio.dev";
const PIPELINES: &str = "/apis/cio.dev/v1alpha1/namespaces/shop/ciopipelines";
const SECRETS: &str = "/api/v1/namespaces/shop/secrets";
const HPA: &str = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/events-worker";
const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";
const SERVICES: &str = "/api/v1/services";
const API_SERVICE: &str =
    "/apis/apiregistration.k8s.io/v1/apiservices/v1beta2.custom.metrics.k8s.io";
const CPU_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io";

/// A cluster in which everything is well, with the pipeline shop/events.
fn healthy(redis_url: &str, endpoint: &str) -> Answers {
    let crd = cio_operator::api::crd().expect("a CRD");
    let list = |kind: &str, items: Value| json!({"kind": kind, "apiVersion": "v1", "metadata": {}, "items": items});
    let labels = |component: &str| json!({"app.kubernetes.io/name": "cio-operator", "app.kubernetes.io/component": component});
    let part = |component: &str| {
        json!({"metadata": {"name": component, "namespace": "cio-system", "labels": labels(component)},
            "spec": {"replicas": 1, "selector": {}, "template": {}}, "status": {"readyReplicas": 1}})
    };
    let service = json!({"metadata": {"name": "cio-adapter", "namespace": "cio-system", "labels": labels("adapter")}});
    let api_service = json!({
        "metadata": {"name": "v1beta2.custom.metrics.k8s.io"},
        "spec": {"group": "custom.metrics.k8s.io", "groupPriorityMinimum": 100, "versionPriority": 200, "service": {"namespace": "cio-system", "name": "cio-adapter"}},
        "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Passed"}]},
    });
    let cpu_service = json!({
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {"group": "metrics.k8s.io", "groupPriorityMinimum": 100, "versionPriority": 100, "service": {"namespace": "kube-system", "name": "metrics-server"}},
        "status": {"conditions": [{"type": "Available", "status": "True", "reason": "Passed"}]},
    });
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": "m"});
    let hpa = json!({"metadata": {"name": "events-worker"}, "spec": {"maxReplicas": 20, "scaleTargetRef": {"kind": "Deployment", "name": "events-worker"}},
        "status": {"currentReplicas": 2, "desiredReplicas": 2, "conditions": [condition("AbleToScale", "True"), condition("ScalingActive", "True")]}});
    let pipeline = pipeline("events", endpoint);
    let text = |text: &str| json!(BASE64_STANDARD.encode(text));
    let answers = [
        (
            "/version",
            json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
        ),
        (CRD, serde_json::to_value(crd).expect("JSON")),
        (API_SERVICE, api_service),
        (CPU_SERVICE, cpu_service),
        (
            DEPLOYMENTS,
            list("DeploymentList", json!([part("operator"), part("adapter")])),
        ),
        (SERVICES, list("ServiceList", json!([service]))),
        (HPA, hpa),
        (PIPELINES, list("CioPipelineList", json!([pipeline]))),
        (&format!("{PIPELINES}/events"), pipeline.clone()),
        (
            &format!("{SECRETS}/redis"),
            json!({"metadata": {"name": "redis"}, "data": {"url": text(redis_url)}}),
        ),
        (
            &format!("{SECRETS}/customerio"),
            json!({"metadata": {"name": "customerio"}, "data": {"siteId": text("site"), "apiKey": text("key")}}),
        ),
    ];
    answers
        .map(|(path, answer)| (path.to_owned(), answer))
        .into()
}

fn pipeline(name: &str, endpoint: &str) -> Value {
    let yaml = format!(
        "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  \
         queue: {{redis: {{urlSecretRef: {{name: redis, key: url}}}}}}\n  \
         workspace: {{endpoint: '{endpoint}', credentialsSecretRef: {{name: customerio}}}}\n"
    );
    let mut pipeline =
        serde_json::to_value(cio_operator::api::parse(&yaml).expect("a pipeline")).expect("JSON");
    pipeline["status"] = json!({"conditions": [{"type": "Ready", "status": "True", "reason": "AllReady", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    pipeline
}

/// What the API server answers at a path → a check, its verdict, words of finding or remedy.
type Case<'a> = (&'a str, Value, &'a str, &'a str, &'a str);

struct Stage {
    redis: RedisServer,
    simulator: Cio,
    endpoint: String,
}

impl Stage {
    async fn start() -> Self {
        let (simulator, endpoint) = super::without_cluster::simulator("us").await;
        Self {
            redis: RedisServer::start_with(&["--save", "", "--appendonly", "yes"]),
            simulator,
            endpoint,
        }
    }

    async fn doctor(&self, change: impl FnOnce(&mut Answers)) -> (Option<i32>, Checks) {
        let mut answers = healthy(&self.redis.url(), &self.endpoint);
        change(&mut answers);
        let server = ApiServer::start(answers).await;
        let kubeconfig = server.kubeconfig();
        tokio::task::spawn_blocking(move || {
            doctor(
                &["events"],
                &[("KUBECONFIG", kubeconfig.to_str().expect("a path"))],
            )
        })
        .await
        .expect("the doctor")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_pipeline_passes_with_the_address_and_credentials_of_its_secrets() {
    let stage = Stage::start().await;
    let (code, checks) = stage.doctor(|_| ()).await;
    checks.expect(&[
        ("cluster", "pass"),
        ("permissions", "pass"),
        ("crd", "pass"),
        ("operator", "pass"),
        ("adapter", "pass"),
        ("metrics-api", "pass"),
        ("resource-metrics", "pass"),
        ("pipeline", "pass"),
        ("hpa", "pass"),
        ("redis-secret", "pass"),
        ("credentials-secret", "pass"),
        ("redis", "pass"),
        ("redis-version", "pass"),
        ("redis-persistence", "pass"),
        ("clock-redis", "pass"),
        ("customerio-credentials", "pass"),
        ("customerio-region", "pass"),
        ("clock-customerio", "pass"),
        ("rate-limit", "pass"),
        ("rate-limit-redis", "pass"),
    ]);
    assert_eq!(code, Some(0), "{checks:#?}");
    drop(stage.simulator);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_is_wrong_is_found_with_what_mends_it() {
    let stage = Stage::start().await;
    let condition = |active: &str| json!({"desiredReplicas": 2, "conditions": [{"type": "ScalingActive", "status": active, "reason": "FailedGetPodsMetric", "message": "no metrics"}]});
    let cases: &[Case<'_>] = &[
        (CRD, json!(404), "crd", "failure", "helm upgrade --install"),
        (
            CRD,
            json!(403),
            "crd",
            "warning",
            "can-i get customresourcedefinitions",
        ),
        (
            API_SERVICE,
            json!(404),
            "metrics-api",
            "failure",
            "metricsApi.mode=adapter",
        ),
        (
            CPU_SERVICE,
            json!(404),
            "resource-metrics",
            "warning",
            "metrics-server",
        ),
        (
            PIPELINES,
            json!(403),
            "rate-limit-redis",
            "warning",
            "can-i get ciopipelines",
        ),
        (
            DEPLOYMENTS,
            json!({"metadata": {}, "items": []}),
            "operator",
            "failure",
            "helm upgrade --install",
        ),
        (
            HPA,
            json!({"metadata": {}, "spec": {"maxReplicas": 20, "scaleTargetRef": {"kind": "D", "name": "d"}}, "status": condition("False")}),
            "hpa",
            "failure",
            "describe hpa events-worker",
        ),
        (
            HPA,
            json!(404),
            "hpa",
            "failure",
            "describe ciopipeline events",
        ),
        (
            "/api/v1/namespaces/shop/secrets/customerio",
            json!({"metadata": {}, "data": {"site": ""}}),
            "credentials-secret",
            "failure",
            "it has: site",
        ),
        (
            "/api/v1/namespaces/shop/secrets/customerio",
            json!(403),
            "credentials-secret",
            "warning",
            "can-i get secrets",
        ),
        (
            "/api/v1/namespaces/shop/secrets/redis",
            json!(404),
            "redis-secret",
            "failure",
            "shop/redis",
        ),
        (
            "/apis/cio.dev/v1alpha1/namespaces/shop/ciopipelines/events",
            json!(404),
            "pipeline",
            "failure",
            "kubectl get ciopipelines -A",
        ),
    ];
    for (path, answer, name, verdict, words) in cases {
        let (code, checks) = stage
            .doctor(|answers| drop(answers.insert((*path).to_owned(), answer.clone())))
            .await;
        checks.expect(&[(name, verdict)]);
        assert!(checks.words(name).contains(words), "{name}: {checks:#?}");
        assert_eq!(
            code,
            Some(i32::from(*verdict == "failure")),
            "{path}: {checks:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_adapter_in_the_way_and_a_redis_of_its_own_are_named() {
    let stage = Stage::start().await;
    let (code, checks) = stage
        .doctor(|answers| {
            answers.get_mut(API_SERVICE).expect("it")["spec"]["service"] =
                json!({"namespace": "monitoring", "name": "prometheus-adapter"});
            let mut other = pipeline("more-events", "http://elsewhere");
            other["spec"]["queue"]["redis"] = json!({"url": "redis://other"});
            answers.get_mut(PIPELINES).expect("it")["items"] =
                json!([pipeline("events", "http://x"), other]);
        })
        .await;
    checks.expect(&[("metrics-api", "warning"), ("rate-limit-redis", "warning")]);
    assert!(
        checks
            .words("metrics-api")
            .contains("monitoring/prometheus-adapter"),
        "{checks:#?}"
    );
    assert!(
        checks.words("rate-limit-redis").contains("more-events"),
        "{checks:#?}"
    );
    assert_eq!(code, Some(0), "{checks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_means_nothing_outside_the_cluster_is_no_failure() {
    let mut stage = Stage::start().await;
    stage.redis.kill();
    let (code, checks) = stage.doctor(|_| ()).await;
    checks.expect(&[("redis", "warning"), ("customerio-credentials", "pass")]);
    assert!(
        checks.words("redis").contains("port-forward"),
        "{checks:#?}"
    );
    assert_eq!(code, Some(0), "{checks:#?}");
}

#[test]
fn a_cluster_that_does_not_answer_is_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config");
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "t",
        "clusters": [{"name": "t", "cluster": {"server": format!("http://127.0.0.1:{}", free_port())}}],
        "users": [{"name": "t", "user": {}}], "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}]});
    std::fs::write(&path, config.to_string()).expect("to write");
    let (code, checks) = doctor(
        &["events"],
        &[("KUBECONFIG", path.to_str().expect("a path"))],
    );
    checks.expect(&[("cluster", "failure"), ("redis", "absent")]);
    assert_eq!(code, Some(1));
}
