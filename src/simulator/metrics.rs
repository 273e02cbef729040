//! What the workspace tells Prometheus. Counters here go on after `DELETE /_sim/state`.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::store::Outcome;

/// The workspace's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    requests: IntCounterVec,
    operations: IntCounterVec,
    refused: IntCounter,
    throttled: IntCounter,
    faults: IntCounter,
    people: IntGauge,
}

impl Metrics {
    /// Registers everything.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "cio_simulator_requests_total",
                    "Track API requests by the status of the answer.",
                ),
                &["status"],
            )?,
            operations: IntCounterVec::new(
                Opts::new(
                    "cio_simulator_operations_total",
                    "Valid operations by kind and by what became of them.",
                ),
                &["operation", "result"],
            )?,
            refused: IntCounter::new(
                "cio_simulator_invalid_total",
                "Calls and batch items refused as invalid.",
            )?,
            throttled: IntCounter::new(
                "cio_simulator_throttled_total",
                "Requests above the site id's limit.",
            )?,
            faults: IntCounter::new(
                "cio_simulator_faults_total",
                "Requests that a fault rule spoiled or delayed.",
            )?,
            people: IntGauge::new("cio_simulator_people", "People stored.")?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.operations.clone()))?;
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.throttled.clone()))?;
        registry.register(Box::new(metrics.faults.clone()))?;
        registry.register(Box::new(metrics.people.clone()))?;
        Ok(metrics)
    }

    /// `status` is one of at most a few hundred: faults are held to 200 to 599.
    pub(super) fn answered(&self, status: &str) {
        self.requests.with_label_values(&[status]).inc();
    }

    pub(super) fn operation(&self, kind: &'static str, outcome: Outcome) {
        let labels = [kind, outcome.as_str()];
        self.operations.with_label_values(&labels).inc();
    }

    pub(super) fn refused(&self, count: usize) {
        self.refused.inc_by(count as u64);
    }

    pub(super) fn throttled(&self) {
        self.throttled.inc();
    }

    pub(super) fn faulted(&self) {
        self.faults.inc();
    }

    pub(super) fn people(&self, count: usize) {
        self.people.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
