//! The numbers of delivery and of the limit.

mod circuit;

use std::time::Duration;

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry,
};

pub use self::circuit::CircuitMetrics;
use super::operation::Kind;
use super::outcome::Outcome;
use crate::runtime::clock::Clock;
use crate::runtime::http_client::{Answer, TransportError};
use crate::runtime::meters::{counter, counters, gauge, histogram, register};

const SECONDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0,
];
/// Each is a series from the start, so that an increase from nothing is seen.
const STATUS_CLASSES: [&str; 8] = [
    "2xx", "207", "3xx", "429", "4xx", "5xx", "timeout", "broken",
];
/// Of [`Kind`], and of jobs that are neither.
const KINDS: [&str; 3] = ["identify", "track", "unknown"];
/// Of [`Outcome`].
const OUTCOMES: [&str; 5] = ["delivered", "rejected", "failed", "held", "returned"];
const LAG_SECONDS: [f64; 10] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
];
const OPERATIONS: [f64; 10] = [
    1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0,
];

/// What delivery counts; one set for each registry.
#[derive(Debug, Clone)]
pub struct DeliveryMetrics {
    requests: IntCounterVec,
    duration: Histogram,
    jobs: IntCounterVec,
    lag: HistogramVec,
    batch: Histogram,
    /// Bytes of operations that are being delivered.
    pub in_flight_bytes: IntGauge,
    /// The circuit's own.
    pub circuit: CircuitMetrics,
    /// The limit's own.
    pub limit: LimitMetrics,
}

/// What the limit counts.
#[derive(Debug, Clone)]
pub struct LimitMetrics {
    /// The rate in force for the workspace.
    pub rate: Gauge,
    /// How long a request waited for its turn.
    pub wait: Histogram,
    /// How often Redis did not answer.
    pub errors: IntCounter,
}

impl DeliveryMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is taken in `registry`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: counters(
                registry,
                "cio_delivery_requests_total",
                "Requests to Customer.io by class of answer",
                "status_class",
                &STATUS_CLASSES,
            )?,
            duration: histogram(
                registry,
                "cio_delivery_duration_seconds",
                "From sending a request to its answer",
                &SECONDS,
            )?,
            jobs: jobs(registry)?,
            lag: lag(registry)?,
            batch: histogram(
                registry,
                "cio_delivery_batch_operations",
                "Operations in one request",
                &OPERATIONS,
            )?,
            in_flight_bytes: gauge(
                registry,
                "cio_delivery_in_flight_bytes",
                "Bytes of operations that are being delivered",
            )?,
            circuit: CircuitMetrics::new(registry, Clock::system())?,
            limit: LimitMetrics::new(registry)?,
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Every series that there can be, at 0.
    fn begin(&self) {
        for kind in [Kind::Identify, Kind::Track] {
            self.lag.with_label_values(&[kind.as_str()]);
        }
        for kind in KINDS {
            for outcome in OUTCOMES {
                self.jobs.with_label_values(&[kind, outcome]);
            }
        }
    }

    pub(super) fn request(
        &self,
        reply: Result<&Answer, &TransportError>,
        took: Duration,
        operations: usize,
    ) {
        self.requests
            .with_label_values(&[status_class(reply)])
            .inc();
        self.duration.observe(took.as_secs_f64());
        #[expect(
            clippy::cast_precision_loss,
            reason = "a batch has far fewer than 2^52 operations"
        )]
        self.batch.observe(operations as f64);
    }

    /// Counts a job. `operation` is `identify`, `track` or `unknown`.
    pub fn job(&self, operation: &'static str, outcome: &Outcome) {
        self.jobs
            .with_label_values(&[operation, outcome.as_str()])
            .inc();
    }

    pub(super) fn accepted(&self, kind: Kind, lag: Duration) {
        self.lag
            .with_label_values(&[kind.as_str()])
            .observe(lag.as_secs_f64());
    }
}

impl LimitMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is taken in `registry`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            rate: register(
                registry,
                Gauge::new(
                    "cio_limit_requests_per_second",
                    "The request rate in force for the whole workspace; 0 without a limit",
                )?,
            )?,
            wait: histogram(
                registry,
                "cio_limit_wait_seconds",
                "How long a request waited for its turn",
                &SECONDS,
            )?,
            errors: counter(
                registry,
                "cio_limit_errors_total",
                "How often Redis did not answer a question for the limit",
            )?,
        })
    }
}

fn status_class(reply: Result<&Answer, &TransportError>) -> &'static str {
    match reply {
        Ok(answer) => match answer.status.as_u16() {
            207 => "207",
            200..=299 => "2xx",
            300..=399 => "3xx",
            429 => "429",
            400..=499 => "4xx",
            _ => "5xx",
        },
        Err(TransportError::Timeout(_)) => "timeout",
        Err(_) => "broken",
    }
}

fn jobs(registry: &Registry) -> Result<IntCounterVec, prometheus::Error> {
    let opts = Opts::new(
        "cio_delivery_jobs_total",
        "Jobs by operation and what came of them",
    );
    register(
        registry,
        IntCounterVec::new(opts, &["operation", "outcome"])?,
    )
}

fn lag(registry: &Registry) -> Result<HistogramVec, prometheus::Error> {
    let opts = HistogramOpts::new(
        "cio_delivery_lag_seconds",
        "From enqueueing a job to its acceptance by Customer.io",
    );
    register(
        registry,
        HistogramVec::new(opts.buckets(LAG_SECONDS.to_vec()), &["operation"])?,
    )
}
