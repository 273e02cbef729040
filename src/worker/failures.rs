//! What is logged of jobs that failed: id, class, field and status, once each, and no user's data.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bullmq::worker::WorkerEvent;

use crate::delivery::reason::Reason;
use crate::queue::job::loggable_id;
use crate::queue::names::QueueName;

/// Why a job fails, kept from the processor's answer until BullMQ says that it has failed: at most
/// one entry for each job in hand.
#[derive(Debug)]
pub(super) struct Failures {
    queue: QueueName,
    expected: Mutex<HashMap<String, Expected>>,
}

/// What is known of a failure.
#[derive(Debug)]
pub(super) struct Expected {
    /// `identify`, `track` or `unknown`.
    pub(super) operation: &'static str,
    /// Why it fails. Its message stays out of the log.
    pub(super) reason: Reason,
    /// Which of its attempts this was, from 1.
    pub(super) attempt: u32,
    /// Whether it was the last.
    pub(super) last: bool,
}

impl Failures {
    /// None yet, in `queue`.
    pub(super) fn new(queue: QueueName) -> Self {
        Self {
            queue,
            expected: Mutex::default(),
        }
    }

    /// The job will fail for this reason.
    pub(super) fn expect(&self, job_id: &str, failure: Expected) {
        self.expected().insert(job_id.to_owned(), failure);
    }

    /// Logs what BullMQ's loop says. `broken` is whether the last thing it said was an error: they
    /// come every second while Redis is away, and one line is enough.
    pub(super) fn log(&self, event: &WorkerEvent, broken: &mut bool) {
        match event {
            WorkerEvent::Failed { job_id, .. } => self.failed(job_id),
            WorkerEvent::Error(error) if !std::mem::replace(broken, true) => tracing::warn!(
                queue.name = %self.queue,
                error = without_ids(error),
                "BullMQ's loop reports an error; it goes on"
            ),
            WorkerEvent::Active { .. } | WorkerEvent::Completed { .. } => *broken = false,
            _ => {}
        }
    }

    fn failed(&self, job_id: &str) {
        let id = loggable_id(job_id);
        let failure = self.expected().remove(job_id);
        let Some(Expected {
            operation,
            reason,
            attempt,
            last,
        }) = failure
        else {
            tracing::warn!(
                queue.name = %self.queue,
                job.id = %id,
                outcome.class = "queue",
                "job failed before it was tried"
            );
            return;
        };
        tracing::warn!(
            queue.name = %self.queue,
            job.id = %id,
            job.operation = operation,
            job.attempt = attempt,
            outcome.class = reason.class,
            outcome.field = reason.field,
            outcome.status = reason.status,
            "{}",
            if last { "job failed for good" } else { "job failed; it will be tried again" }
        );
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<String, Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// BullMQ's texts may hold a job's id, which may hold a user's: only those of Redis are shown.
fn without_ids(error: &str) -> &str {
    if error.starts_with("redis error") {
        error
    } else {
        "a script refused to finish a job, which another worker has or has had"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_may_hold_a_job_s_id_is_not_shown() {
        assert!(!without_ids("Missing lock for job bob@x.io. moveToFinished").contains("bob"));
        assert_eq!(
            without_ids("redis error: broken pipe"),
            "redis error: broken pipe"
        );
    }

    #[test]
    fn a_reason_is_kept_until_the_job_has_failed_and_no_longer() {
        let failures = Failures::new("q".parse().unwrap());
        let reason = Reason::from(crate::delivery::refusal::Refusal::UnknownName);
        let expected = Expected {
            operation: "",
            reason,
            attempt: 1,
            last: true,
        };
        failures.expect("1", expected);
        let event = WorkerEvent::Failed {
            job_id: "1".to_owned(),
            error: String::new(),
        };
        failures.log(&event, &mut false);
        assert!(failures.expected().is_empty());
    }
}
