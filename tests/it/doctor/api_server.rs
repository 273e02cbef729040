//! An API server that answers what it is told, and a kubeconfig for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Path → answer; a status where it is no object.
pub(crate) type Answers = BTreeMap<String, Value>;

pub(crate) struct ApiServer {
    folder: TempDir,
}

impl ApiServer {
    /// What is not in `answers` is 404. Every right is given, but those to what answers 403.
    pub(crate) async fn start(answers: Answers) -> Self {
        let answers = Arc::new(answers);
        let router = Router::new().fallback(move |method: Method, uri: Uri| {
            let answers = Arc::clone(&answers);
            async move { answer(&answers, &method, &uri) }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().expect("a folder");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "shop"}}],
        });
        std::fs::write(folder.path().join("config"), config.to_string()).expect("to write");
        Self { folder }
    }

    /// For `KUBECONFIG`.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }
}

fn answer(answers: &Answers, method: &Method, uri: &Uri) -> Response {
    if method == Method::POST && uri.path().ends_with("selfsubjectaccessreviews") {
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "metadata": {}, "spec": {}, "status": {"allowed": true}});
        return Json(review).into_response();
    }
    match answers.get(uri.path()) {
        Some(Value::Number(status)) => failure(status.as_u64().expect("a status")),
        Some(object) => Json(object.clone()).into_response(),
        None => failure(404),
    }
}

fn failure(status: u64) -> Response {
    let code = StatusCode::from_u16(u16::try_from(status).expect("a status")).expect("a status");
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "as told", "reason": if status == 404 { "NotFound" } else { "Forbidden" }, "code": status});
    (code, Json(body)).into_response()
}
