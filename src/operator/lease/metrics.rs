//! What is counted about the election.

use prometheus::{IntCounter, IntGauge, Registry};

use crate::runtime::meters::{counter, gauge};

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
        Ok(Self {
            leader: gauge(
                registry,
                "cio_leader",
                "1 in the operator that writes, 0 in others.",
            )?,
            transitions: gauge(
                registry,
                "cio_lease_transitions",
                "How often the operators' Lease changed hands, as the Lease says.",
            )?,
            errors: counter(
                registry,
                "cio_lease_errors_total",
                "Looks at the Lease, and updates of it, that failed.",
            )?,
        })
    }

    /// Of a process that runs alone: it writes.
    pub(in crate::operator) fn alone(&self) {
        self.leader.set(1);
    }
}
