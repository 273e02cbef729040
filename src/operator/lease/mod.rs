//! One writer at a time: the leader election over a `coordination.k8s.io/v1` Lease.
//!
//! `decide` is pure: what was seen of the Lease, and when by this machine's own monotonic clock,
//! becomes a step. `record` turns steps into Leases, `candidate` asks and writes, `leadership` is
//! what everybody else sees of it: whether writing is allowed now, and a client that refuses to
//! write otherwise.
//!
//! No two machines' clocks are compared: a Lease has expired when it did not change for its
//! duration while we looked, and one that was deleted or cleared under its holder is free no earlier
//! than it would have expired. Every update names the `resourceVersion` that it was made from, so of
//! two that take it at once only one succeeds. The durations are client-go's: a Lease is given up
//! by its holder 10 s after the last renewal that succeeded, and taken by another after 15 s.

mod candidate;
mod decide;
mod leadership;
mod metrics;
mod record;
#[cfg(test)]
mod test_support;

use std::time::Duration;

pub(super) use candidate::Candidate;
pub use candidate::Loss;
pub(super) use leadership::Leadership;
pub use metrics::LeaseMetrics;

/// For so long after it was seen to change a Lease belongs to its holder.
const LEASE: Duration = Duration::from_secs(15);
/// So long after the request of its last successful renewal a holder stops: 5 s before others may
/// take over, which is the time that requests on their way have to arrive.
const RENEW: Duration = Duration::from_secs(10);
/// The pause between two looks.
const RETRY: Duration = Duration::from_secs(2);
/// One look, with the update that follows from it.
const REQUEST: Duration = Duration::from_secs(5);
/// A loop that did not come round for so long is stuck: more than one look and one pause.
pub const STUCK: Duration = Duration::from_secs(30);

/// Which Lease, and who asks for it.
#[derive(Debug, Clone)]
pub struct Election {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub lease: String,
    /// Who we are: one process and no other, also not the one before in the same pod.
    pub identity: String,
}

impl Election {
    /// For the process `name` (a pod's name), which is told apart from its predecessors.
    pub fn new(namespace: String, lease: String, name: &str) -> Self {
        let identity = format!("{name}_{:016x}", rand::random::<u64>());
        Self {
            namespace,
            lease,
            identity,
        }
    }
}
