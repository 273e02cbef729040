//! What the adapter tells Prometheus about itself.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use super::reading::{Reading, Unknown};
use crate::runtime::meters::{counter, counters, gauge, histogram};
use crate::runtime::tls::server::ConnectionMetrics;

/// Upper bounds in seconds: the HPA must be answered within 2.
const DURATIONS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 1.5, 2.0];
/// Upper bounds in seconds; a reading older than 30 is not used.
const AGES: [f64; 6] = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0];

/// What asking a sidecar can come to. Each is a series from the start, so that an increase from
/// nothing is seen.
const RESULTS: [&str; 6] = [
    "ok",
    "NoReadySidecar",
    "SidecarUnreachable",
    "InvalidAnswer",
    "DepthUnknown",
    "StaleReading",
];
/// What a review can come to.
const REVIEWS: [&str; 3] = ["allowed", "denied", "failed"];

/// The adapter's own metrics, cheap to clone.
#[derive(Debug, Clone)]
pub struct AdapterMetrics {
    requests: IntCounterVec,
    duration: Histogram,
    readings: IntCounterVec,
    freshness: Histogram,
    answers: IntCounterVec,
    answer_age: Histogram,
    reviews: IntCounterVec,
    watch_errors: IntCounterVec,
    serving: IntGauge,
    certificate_expiry: IntGauge,
    connections: ConnectionMetrics,
}

/// What a review asked for, and what came of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReviewResult {
    Allowed,
    Denied,
    Failed,
}

impl AdapterMetrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When `registry` has one of the names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            requests: counters(
                registry,
                "cio_adapter_requests_total",
                "API requests answered.",
                "code",
                &["200"],
            )?,
            duration: histogram(
                registry,
                "cio_adapter_request_duration_seconds",
                "From an API request's head to its answer.",
                &DURATIONS,
            )?,
            readings: counters(
                registry,
                "cio_adapter_readings_total",
                "Depths asked of sidecars: ok, or the reason why it is not known.",
                "result",
                &RESULTS,
            )?,
            freshness: histogram(
                registry,
                "cio_adapter_metric_freshness_seconds",
                "Age of a depth when its sidecar told it.",
                &AGES,
            )?,
            answers: counters(
                registry,
                "cio_adapter_answers_total",
                "Pipelines answered about: ok, or the reason why the depth was left out.",
                "result",
                &RESULTS,
            )?,
            answer_age: histogram(
                registry,
                "cio_adapter_answer_age_seconds",
                "Age of a depth when it was answered with.",
                &AGES,
            )?,
            reviews: counters(
                registry,
                "cio_adapter_reviews_total",
                "TokenReviews and SubjectAccessReviews made: allowed, denied or failed.",
                "result",
                &REVIEWS,
            )?,
            watch_errors: counters(
                registry,
                "cio_adapter_watch_errors_total",
                "Interruptions of a watch; each is retried.",
                "watch",
                &["authentication", "pipelines", "pods"],
            )?,
            serving: gauge(
                registry,
                "cio_adapter_serving",
                "1 while every group is answered, 0 while not ready or while an APIService is somebody else's.",
            )?,
            certificate_expiry: gauge(
                registry,
                "cio_adapter_certificate_expiry_timestamp_seconds",
                "When the serving certificate in use expires, in seconds since the epoch.",
            )?,
            connections: ConnectionMetrics {
                open: gauge(
                    registry,
                    "cio_adapter_connections",
                    "API connections open now, of at most 512.",
                )?,
                failed_handshakes: counter(
                    registry,
                    "cio_adapter_failed_handshakes_total",
                    "TLS handshakes that failed or took too long.",
                )?,
            },
        })
    }

    /// An API request was answered.
    pub(super) fn request(&self, code: &str, took: Duration) {
        self.requests.with_label_values(&[code]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// A sidecar was asked.
    pub(super) fn reading(&self, outcome: &Result<Reading, Unknown>, now: Timestamp) {
        count(&self.readings, &self.freshness, outcome, now);
    }

    /// A pipeline's depth was answered with, or left out.
    pub(super) fn answered(&self, outcome: &Result<Reading, Unknown>, now: Timestamp) {
        count(&self.answers, &self.answer_age, outcome, now);
    }

    /// The API server was asked about a caller.
    pub(super) fn review(&self, result: ReviewResult) {
        let result = match result {
            ReviewResult::Allowed => "allowed",
            ReviewResult::Denied => "denied",
            ReviewResult::Failed => "failed",
        };
        self.reviews.with_label_values(&[result]).inc();
    }

    /// The counter of a watch's interruptions.
    pub(super) fn watch_errors(&self, watch: &'static str) -> IntCounter {
        self.watch_errors.with_label_values(&[watch])
    }

    /// Whether every group is answered.
    pub(super) fn serving(&self, serving: bool) {
        self.serving.set(serving.into());
    }

    /// When the certificate in use expires, in seconds since the epoch.
    pub(super) fn certificate_expires(&self, at: i64) {
        self.certificate_expiry.set(at);
    }

    /// The metrics of the TLS server.
    pub(super) fn connections(&self) -> ConnectionMetrics {
        self.connections.clone()
    }
}

fn count(
    results: &IntCounterVec,
    ages: &Histogram,
    outcome: &Result<Reading, Unknown>,
    now: Timestamp,
) {
    let result = match outcome {
        Ok(reading) => {
            let age = now.duration_since(reading.read_at).as_secs_f64();
            ages.observe(age.max(0.0));
            "ok"
        }
        Err(unknown) => unknown.reason(),
    };
    results.with_label_values(&[result]).inc();
}
