//! The worker beside BullMQ itself: both majors for Node, and Python's. Whoever is on the other side
//! of the queue must not be able to tell us from BullMQ. docs/bullmq.md lists what is shown where.

mod ids;
mod limits;
mod observers;
mod order;
mod outcomes;
mod pause;
pub(crate) mod peer;
mod retention;
mod retries;
mod scene;
mod special;
mod stalls;

/// The npm packages of the two majors in the field, as `tests/node/package.json` names them.
pub(crate) const MAJORS: [&str; 2] = ["bullmq5", "bullmq6"];
/// With Python's: whoever can be on the other side. docs/bullmq.md says which of the assertions are
/// not for it, and why.
const PEERS: [&str; 3] = ["bullmq5", "bullmq6", "python"];
