//! One job: read, prepared, handed to the engine; and what its outcome means for the queue.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use tracing::Span;

use super::failures::Failure;
use crate::delivery::Mode;
use crate::delivery::encode::{JobRef, Prepared, prepare};
use crate::delivery::engine::{Engine, Submitted};
use crate::delivery::metrics::DeliveryMetrics;
use crate::delivery::operation::Operation;
use crate::delivery::outcome::Outcome;
use crate::delivery::reason::Reason;
use crate::delivery::refusal::Refusal;
use crate::delivery::spans;
use crate::queue::job::loggable_id;
use crate::queue::jobs::finish::Ending;
use crate::runtime::traces;

/// What every job of a worker is processed with.
#[derive(Debug, Clone)]
pub(super) struct Processor {
    pub(super) engine: Engine,
    pub(super) mode: Mode,
    /// Prefix and name of the queue: part of every event's id.
    pub(super) queue: String,
    pub(super) metrics: DeliveryMetrics,
}

/// A job as its producer wrote it.
#[derive(Debug, Clone)]
pub(super) struct Written<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// What its data says, or why that is not known.
    pub(super) data: Result<&'a Value, Refusal>,
    /// When it was added, in ms since the Unix epoch.
    pub(super) timestamp_ms: u64,
    /// Attempts before this one.
    pub(super) attempts_made: u32,
    /// What its producer's telemetry wrote into its options.
    pub(super) telemetry: Option<&'a str>,
}

/// A job in the engine's hands.
#[derive(Debug)]
pub(super) struct Job {
    submitted: Result<Submitted, Outcome>,
    span: Span,
}

impl Job {
    /// Waits until it is settled.
    pub(super) async fn outcome(self) -> Outcome {
        let outcome = match self.submitted {
            Ok(submitted) => submitted.outcome().await,
            Err(outcome) => outcome,
        };
        spans::finish_job(&self.span, &outcome);
        outcome
    }
}

impl Processor {
    /// Hands `job` to the engine. A panic is a failed attempt: it must not take the other jobs with
    /// it.
    pub(super) fn submit(&self, job: &Written<'_>) -> Job {
        let span = span(job);
        let submitted = match catch_unwind(AssertUnwindSafe(|| self.prepare(job))) {
            Ok(Ok(prepared)) => {
                // BullMQ counts its ids up; a custom one says nothing of the order.
                let order = (job.timestamp_ms, job.id.parse().unwrap_or(0));
                Ok(span.in_scope(|| self.engine.submit(prepared, order)))
            }
            Ok(Err(refusal)) => Err(self.refused(job, Outcome::Rejected(refusal.into()))),
            Err(_) => Err(self.refused(job, Outcome::Failed(panicked()))),
        };
        Job { submitted, span }
    }

    fn prepare(&self, job: &Written<'_>) -> Result<Prepared, Refusal> {
        let data = job.data.clone()?;
        let operation = Operation::read(job.name, data, job.timestamp_ms)?;
        let job = JobRef {
            queue: &self.queue,
            id: job.id,
        };
        prepare(&operation, self.mode, job)
    }

    fn refused(&self, job: &Written<'_>, outcome: Outcome) -> Outcome {
        self.metrics.job(operation(job.name), &outcome);
        outcome
    }
}

/// The job's span for traces, a child of its producer's.
fn span(job: &Written<'_>) -> Span {
    let span = spans::job(operation(job.name), job.attempts_made.saturating_add(1));
    if !span.is_disabled() {
        span.record("job.id", &*loggable_id(job.id));
        if let Some(telemetry) = job.telemetry {
            traces::parent(&span, telemetry);
        }
    }
    span
}

fn panicked() -> Reason {
    Reason {
        class: "panic",
        status: None,
        field: None,
        message: "an error in cio itself; its log says more".to_owned(),
    }
}

/// An outcome in BullMQ's terms, and what there is to log of it.
pub(super) fn ending(name: &str, outcome: Outcome) -> (Ending, Option<Failure>) {
    let (reason, retry) = match outcome {
        Outcome::Delivered => return (Ending::Completed, None),
        Outcome::Held(pause) => return (Ending::PutAside(pause), None),
        Outcome::Returned => return (Ending::PutBack, None),
        Outcome::Rejected(reason) => (reason, false),
        Outcome::Failed(reason) => (reason, true),
    };
    let ending = Ending::Failed {
        reason: reason.to_string(),
        retry,
    };
    let operation = operation(name);
    (ending, Some(Failure { operation, reason }))
}

/// A job's name where it is one of ours: any other is the producer's, and goes into no label.
pub(super) fn operation(name: &str) -> &'static str {
    match name {
        "identify" => "identify",
        "track" => "track",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_outcome_has_an_ending_and_failures_have_a_reason() {
        let reason = || Reason::from(Refusal::UnknownName);
        let failed = |retry| Ending::Failed {
            reason: reason().to_string(),
            retry,
        };
        let aside = Duration::from_secs(1);
        for (outcome, expected, logged) in [
            (Outcome::Delivered, Ending::Completed, false),
            (Outcome::Returned, Ending::PutBack, false),
            (Outcome::Held(aside), Ending::PutAside(aside), false),
            (Outcome::Rejected(reason()), failed(false), true),
            (Outcome::Failed(reason()), failed(true), true),
        ] {
            let (ending, failure) = ending("track", outcome);
            assert_eq!((ending, failure.is_some()), (expected, logged));
        }
    }
}
