//! What is logged of jobs: id, class, field and status, once each, and no user's data.

use crate::delivery::reason::Reason;
use crate::queue::job::loggable_id;
use crate::queue::jobs::finish::Refused;
use crate::queue::names::QueueName;

/// What is known of a job's failure.
#[derive(Debug)]
pub(super) struct Failure {
    /// `identify`, `track` or `unknown`.
    pub(super) operation: &'static str,
    /// Why it fails. Its message stays out of the log.
    pub(super) reason: Reason,
}

/// A job has failed; `attempt` counts from 1, and `last` is whether it is not tried again.
pub(super) fn log(queue: &QueueName, id: &str, attempt: u32, last: bool, failure: &Failure) {
    let Failure { operation, reason } = failure;
    tracing::warn!(
        queue.name = %queue,
        job.id = %loggable_id(id),
        job.operation = operation,
        job.attempt = attempt,
        outcome.class = reason.class,
        outcome.field = reason.field,
        outcome.status = reason.status,
        "{}",
        if last { "job failed for good" } else { "job failed; it will be tried again" }
    );
}

/// A job was failed without being tried: it had stalled too often.
pub(super) fn log_deferred(queue: &QueueName, id: &str) {
    tracing::warn!(
        queue.name = %queue,
        job.id = %loggable_id(id),
        outcome.class = "queue",
        "job failed for good before it was tried: it had stalled too often"
    );
}

/// What became of a job could not be written down: it will be delivered again, under the same
/// event id.
pub(super) fn log_refused(queue: &QueueName, id: &str, refused: Refused) {
    tracing::warn!(
        queue.name = %queue,
        job.id = %loggable_id(id),
        refused = refused.as_str(),
        "a job was not this worker's any more when it was done"
    );
}
