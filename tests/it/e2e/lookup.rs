//! The chart beside a cluster that it finds something in: what an upgrade renders, and a rollback
//! brings back. Helm asks an API server that knows our `APIServices` alone.

use axum::Json;
use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::chart::template;

/// What the chart's objects are called, by group and version.
const KINDS: [(&str, &[&str]); 5] = [
    ("v1", &["ServiceAccount", "Secret", "Service", "ConfigMap"]),
    ("apps/v1", &["Deployment"]),
    ("policy/v1", &["PodDisruptionBudget"]),
    ("apiextensions.k8s.io/v1", &["CustomResourceDefinition"]),
    (
        "rbac.authorization.k8s.io/v1",
        &["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
    ),
];
const SERVICES: &str = "apiregistration.k8s.io/v1";
const ACROSS: [&str; 4] = [
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "APIService",
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs helm: make test-e2e"]
async fn whom_callers_believe_by_now_is_not_in_what_an_upgrade_renders() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let render = move || {
        template(&[
            "--dry-run=server",
            "--disable-openapi-validation",
            "--kubeconfig=/dev/null",
            "--kube-apiserver",
            &server,
        ])
    };
    let objects = tokio::task::spawn_blocking(render).await.expect("it ends");
    let services: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "APIService")
        .collect();
    assert_eq!(services.len(), 2);
    for service in services {
        assert_eq!(service["spec"].get("caBundle"), None, "{service}");
    }
}

async fn answer(uri: Uri) -> (StatusCode, Json<Value>) {
    let path = uri.path().trim_matches('/');
    let found = match path {
        "version" => Some(json!({"major": "1", "minor": "37", "gitVersion": "v1.37.0"})),
        "api" => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        "apis" => Some(groups()),
        _ => resources(path).or_else(|| service(path)),
    };
    if let Some(found) = found {
        return (StatusCode::OK, Json(found));
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
        "code": 404,
    });
    (StatusCode::NOT_FOUND, Json(status))
}

fn kinds() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    KINDS.into_iter().chain([(SERVICES, &["APIService"][..])])
}

fn groups() -> Value {
    let groups = kinds().filter_map(|(version, _)| {
        let (group, short) = version.split_once('/')?;
        let version = json!({"groupVersion": version, "version": short});
        Some(json!({"name": group, "versions": [version], "preferredVersion": version}))
    });
    json!({"kind": "APIGroupList", "groups": groups.collect::<Vec<_>>()})
}

fn resources(path: &str) -> Option<Value> {
    let asked = path.split_once('/')?.1;
    let (version, kinds) = kinds().find(|(version, _)| *version == asked)?;
    let resources = kinds.iter().map(|kind| {
        json!({
            "name": format!("{}s", kind.to_lowercase()), "singularName": "", "kind": kind,
            "namespaced": !ACROSS.contains(kind), "verbs": ["get"],
        })
    });
    Some(json!({
        "kind": "APIResourceList", "groupVersion": version,
        "resources": resources.collect::<Vec<_>>(),
    }))
}

/// One of ours, as the operator left it.
fn service(path: &str) -> Option<Value> {
    let name = path.rsplit_once("/apiservices/")?.1;
    let (version, group) = name.split_once('.')?;
    Some(json!({
        "apiVersion": SERVICES, "kind": "APIService",
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "cio",
                "meta.helm.sh/release-namespace": "cio-system",
            },
        },
        "spec": {
            "group": group, "version": version, "caBundle": "b2xk",
            "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": "cio-cio-operator-adapter", "namespace": "cio-system", "port": 443},
        },
    }))
}
