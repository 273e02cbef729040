//! Jobs in and out of a BullMQ queue, many in one round trip and in the order of the queue.
//!
//! BullMQ's own scripts move one job at a time; on a deep queue Redis then does little else. These
//! are equal to them in effect (docs/bullmq.md, tests/it/interop) for all jobs but those of a flow,
//! of a scheduler or with a deduplication id: [`exchange`] stops before such a job and says so.
//!
//! In reading order: [`taken`] (a job in hand) → [`policy`] (what its options say of failing and
//! keeping) → [`finish`] (what became of it) → [`exchange`] (one round trip) → [`locks`] (jobs that
//! take long, and those whose worker is gone) → [`marker`] (waiting for work).
//! [`add`] puts jobs in; [`endings`] tells how they ended, [`withdraw`] takes out those that nobody took.

pub mod add;
pub mod endings;
pub mod exchange;
pub mod finish;
pub mod locks;
pub mod marker;
pub mod policy;
pub mod taken;
pub mod withdraw;

use redis::{Script, ScriptInvocation};

use super::names::QueueKeys;

/// The keys that `common.lua` takes, in its order.
const PARTS: [&str; 19] = [
    "wait",
    "active",
    "prioritized",
    "delayed",
    "paused",
    "meta",
    "events",
    "marker",
    "limiter",
    "stalled",
    "pc",
    "completed",
    "failed",
    "metrics:completed",
    "metrics:completed:data",
    "metrics:failed",
    "metrics:failed:data",
    "stalled-check",
    "id",
];

/// `script` on the queue's keys; its first argument is what a job's key begins with.
pub(super) fn on_queue<'a>(script: &'a Script, keys: &QueueKeys) -> ScriptInvocation<'a> {
    let mut invocation = script.prepare_invoke();
    for part in PARTS {
        invocation.key(keys.part(part));
    }
    invocation.arg(keys.base());
    invocation
}
