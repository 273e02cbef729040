//! The spans of delivery for OpenTelemetry: one a job, one a request. Nobody's data is in them.

use std::time::Duration;

use tracing::Span;
use tracing::field::Empty;

use super::encode::Call;
use super::outcome::Outcome;
use crate::runtime::http_client::{Answer, TransportError};
use crate::runtime::traces::{self, TARGET};

/// The span of a job, from taking it to its outcome; disabled where nothing is exported. `job.id`
/// is to be recorded in the form that may be logged. `attempt` counts from 1.
pub fn job(operation: &'static str, attempt: u32) -> Span {
    tracing::info_span!(
        target: TARGET,
        parent: None,
        "cio.job",
        otel.kind = "consumer",
        otel.status_code = Empty,
        job.id = Empty,
        cio.operation = operation,
        cio.attempt = attempt,
        outcome.class = Empty,
    )
}

/// Notes what became of a job.
pub fn finish_job(span: &Span, outcome: &Outcome) {
    let class = match outcome {
        Outcome::Rejected(reason) | Outcome::Failed(reason) => {
            span.record("otel.status_code", "ERROR");
            reason.class
        }
        Outcome::Delivered | Outcome::Held(_) | Outcome::Returned => outcome.as_str(),
    };
    span.record("outcome.class", class);
}

/// The span of one request for the jobs of `jobs`, which waited so long for its turn. It is a child
/// of one of them, one that is sampled where there is one, and the others link to it.
pub(super) fn request<'a>(
    call: &Call,
    jobs: impl ExactSizeIterator<Item = &'a Span> + Clone,
    waited: Duration,
) -> Span {
    let Some(first) = jobs.clone().next().filter(|span| !span.is_disabled()) else {
        return Span::none();
    };
    let parent = jobs
        .clone()
        .find(|job| traces::is_sampled(job))
        .unwrap_or(first);
    let span = tracing::info_span!(
        target: TARGET,
        parent: parent,
        "cio.request",
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = call.method.as_str(),
        http.response.status_code = Empty,
        url.template = template(&call.path),
        error.r#type = Empty,
        cio.batch.size = jobs.len(),
        cio.wait_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
    );
    for job in jobs.filter(|job| job.id() != parent.id()) {
        traces::follow(job, &span);
    }
    span
}

/// Notes what came back.
pub(super) fn finish_request(span: &Span, reply: Result<&Answer, &TransportError>) {
    match reply {
        Ok(answer) => {
            span.record("http.response.status_code", answer.status.as_u16());
            if answer.status.is_client_error() || answer.status.is_server_error() {
                span.record("otel.status_code", "ERROR");
                span.record("error.type", answer.status.as_str());
            }
        }
        Err(error) => {
            let kind = match error {
                TransportError::Timeout(_) => "timeout",
                TransportError::Connect(_) | TransportError::Unsent => "connect",
                TransportError::Broken(_) => "broken",
                TransportError::Body(_) => "body",
            };
            span.record("otel.status_code", "ERROR");
            span.record("error.type", kind);
        }
    }
}

/// A path without whom it is about.
fn template(path: &str) -> &'static str {
    let mut parts = path.trim_start_matches('/').split('/');
    match (parts.next(), parts.next(), parts.next(), parts.count()) {
        (Some("api"), Some("v2"), Some("batch"), 0) => "/api/v2/batch",
        (Some("api"), Some("v1"), Some("customers"), 1) => "/api/v1/customers/{id}",
        (Some("api"), Some("v1"), Some("customers"), 2) => "/api/v1/customers/{id}/events",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_named_in_a_template() {
        for (path, expected) in [
            ("/api/v2/batch", "/api/v2/batch"),
            ("/api/v1/customers/a%2Fb", "/api/v1/customers/{id}"),
            (
                "/api/v1/customers/a/events",
                "/api/v1/customers/{id}/events",
            ),
            ("/api/v1/customers/a/b/c", "other"),
            ("/a@example.com", "other"),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }
}
