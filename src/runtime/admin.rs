//! The pages every long-running part has: `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};

use super::pulse::Pulse;

/// Whether this process may be sent work. It never depends on Redis or Customer.io: an outage
/// there must not make every pod unready and block rollouts.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From now on `/readyz` answers 200.
    pub fn ready(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// From now on `/readyz` answers 503, as while starting and while shutting down.
    pub fn not_ready(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn status(&self) -> StatusCode {
        if self.0.load(Ordering::Acquire) {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// `/healthz` (the process answers), `/readyz` and `/metrics` (Prometheus text of `registry`).
pub fn router(registry: Registry, readiness: Readiness) -> Router {
    router_with_pulse(registry, readiness, None)
}

/// The same, with a `/healthz` that fails while a loop which must not stop is stuck.
pub fn router_with_pulse(registry: Registry, readiness: Readiness, pulse: Option<Pulse>) -> Router {
    Router::new()
        .route(
            "/healthz",
            get(move || async move { health(pulse.as_ref()) }),
        )
        .route("/readyz", get(move || async move { readiness.status() }))
        .route("/metrics", get(move || async move { metrics(&registry) }))
}

fn health(pulse: Option<&Pulse>) -> (StatusCode, &'static str) {
    if pulse.is_none_or(Pulse::beats) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "a loop is stuck\n")
    }
}

/// The registry as Prometheus text.
pub fn metrics(registry: &Registry) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => (
            [(header::CONTENT_TYPE, encoder.format_type().to_owned())],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(error = %error, "failed to encode metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stuck_loop_fails_healthz_and_leaves_readyz_alone() {
        let (readiness, pulse) = (Readiness::default(), Pulse::new(Duration::from_secs(30)));
        readiness.ready();
        let router = router_with_pulse(Registry::new(), readiness, Some(pulse.clone()));
        let code = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            router
                .clone()
                .oneshot(request)
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        assert_eq!((code("/healthz").await, code("/readyz").await), (200, 200));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!((code("/healthz").await, code("/readyz").await), (503, 200));
        pulse.beat();
        assert_eq!(code("/healthz").await, 200);
    }
}
