//! What is counted about the election.

use prometheus::{IntCounter, IntGauge, Registry};

/// The election's metrics.
#[derive(Debug, Clone)]
pub struct LeaseMetrics {
    pub(super) leader: IntGauge,
    pub(super) transitions: IntGauge,
    pub(super) errors: IntCounter,
}

impl LeaseMetrics {
    /// Registers everything.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            leader: IntGauge::new("cio_leader", "1 in the operator that writes, 0 in others.")?,
            transitions: IntGauge::new(
                "cio_lease_transitions",
                "How often the operators' Lease changed hands, as the Lease says.",
            )?,
            errors: IntCounter::new(
                "cio_lease_errors_total",
                "Looks at the Lease, and updates of it, that failed.",
            )?,
        };
        registry.register(Box::new(metrics.leader.clone()))?;
        registry.register(Box::new(metrics.transitions.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        Ok(metrics)
    }

    /// Of a process that runs alone: it writes.
    pub(in crate::operator) fn alone(&self) {
        self.leader.set(1);
    }
}
