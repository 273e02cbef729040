//! What the operator says of itself.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

/// The operator's metrics.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    reconciles: IntCounterVec,
    duration: Histogram,
}

impl Metrics {
    /// Registers everything.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let reconciles = IntCounterVec::new(
            Opts::new("cio_operator_reconciles_total", "Reconciles by result."),
            &["result"],
        )?;
        let duration = Histogram::with_opts(HistogramOpts::new(
            "cio_operator_reconcile_duration_seconds",
            "How long a reconcile takes.",
        ))?;
        registry.register(Box::new(reconciles.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Self {
            reconciles,
            duration,
        })
    }

    /// Counts one reconcile; `result` is `ok`, `refused` or an error's category.
    pub(super) fn reconciled(&self, result: &'static str, took: Duration) {
        self.reconciles.with_label_values(&[result]).inc();
        self.duration.observe(took.as_secs_f64());
    }
}
