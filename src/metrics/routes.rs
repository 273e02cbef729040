//! What the sidecar answers: `/metrics`, and the pages every part has.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};

use super::collector::JOB_COUNT;
use crate::runtime::admin::{self, Readiness};

pub(super) fn router(registry: Registry, readiness: Readiness) -> Router {
    let pages = admin::router(registry.clone(), readiness);
    Router::new()
        .route("/metrics", get(move || async move { metrics(&registry) }))
        .fallback_service(pages)
}

fn metrics(registry: &Registry) -> Response {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, TEXT_FORMAT)];
            (headers, untyped_job_count(&text)).into_response()
        }
        Err(error) => {
            tracing::error!(error = %error, "failed to encode metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// BullMQ's own exporter gives a gauge a name that ends in `_count`. Its dashboards want the name,
/// `promtool check metrics` refuses it for a gauge, and the encoder cannot write `untyped`, which
/// satisfies both: Prometheus stores the same either way.
fn untyped_job_count(text: &str) -> String {
    text.replace(
        &format!("# TYPE {JOB_COUNT} gauge\n"),
        &format!("# TYPE {JOB_COUNT} untyped\n"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::super::collector::QueueCollector;
    use super::super::latest::Latest;
    use super::super::latest::tests::{known, names};
    use super::*;
    use crate::queue::counts::QueueCounts;

    const COUNTS: QueueCounts = QueueCounts {
        redis_time_ms: 0,
        waiting: 7,
        paused: 0,
        prioritized: 0,
        delayed: 0,
        delayed_due: 0,
        active: 0,
        completed: 0,
        failed: 0,
        waiting_children: 0,
        is_paused: false,
        completed_total: 0,
        failed_total: 0,
        oldest_waiting_timestamp_ms: None,
    };

    #[tokio::test]
    async fn readiness_does_not_depend_on_redis() {
        let (_sender, latest) = Latest::new(Duration::MAX);
        assert_eq!(ask(latest.clone(), "/readyz").await.0, StatusCode::OK);
        assert_eq!(ask(latest, "/healthz").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn the_job_count_is_untyped_and_everything_else_typed() {
        let (_, text) = ask(known(COUNTS), "/metrics").await;
        let untyped: Vec<_> = text
            .lines()
            .filter(|line| line.ends_with(" untyped"))
            .collect();
        assert_eq!(untyped, ["# TYPE bullmq_job_count untyped"], "{text}");
    }

    async fn ask(latest: Latest, path: &str) -> (StatusCode, String) {
        let registry = Registry::new();
        let collector = QueueCollector::new(names(), latest).unwrap();
        registry.register(Box::new(collector)).unwrap();
        let readiness = Readiness::default();
        readiness.ready();
        let request = Request::get(path).body(Body::empty()).unwrap();
        let router = router(registry, readiness);
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }
}
