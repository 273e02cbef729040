//! One job: read, prepared, delivered; its outcome in BullMQ's terms.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bullmq::{Error, Job};
use futures::FutureExt;
use serde_json::Value;

use super::failures::{Expected, Failures};
use super::intake::Intake;
use crate::delivery::Mode;
use crate::delivery::encode::{JobRef, Prepared, prepare};
use crate::delivery::engine::Engine;
use crate::delivery::metrics::DeliveryMetrics;
use crate::delivery::operation::Operation;
use crate::delivery::outcome::Outcome;
use crate::delivery::reason::Reason;
use crate::delivery::refusal::Refusal;

/// What every job of a worker is processed with.
#[derive(Debug)]
pub(super) struct Processor {
    pub(super) engine: Engine,
    pub(super) mode: Mode,
    /// Prefix and name of the queue: part of every event's id.
    pub(super) queue: String,
    pub(super) intake: Arc<Intake>,
    pub(super) failures: Arc<Failures>,
    pub(super) metrics: DeliveryMetrics,
}

impl Processor {
    /// Processes `job`. A panic is a failed attempt: BullMQ's loop would hold on to the job for
    /// ever.
    pub(super) async fn process(&self, job: Job) -> Result<Value, Error> {
        let work = AssertUnwindSafe(self.deliver(&job)).catch_unwind().await;
        let outcome = work.unwrap_or_else(|_| {
            Outcome::Failed(Reason {
                class: "panic",
                status: None,
                field: None,
                message: "an error in cio itself; its log says more".to_owned(),
            })
        });
        self.answer(&job, outcome)
    }

    async fn deliver(&self, job: &Job) -> Outcome {
        let prepared = match self.prepare(job) {
            Ok(prepared) => prepared,
            Err(refusal) => {
                let outcome = Outcome::Rejected(refusal.into());
                self.metrics.job(operation(job), &outcome);
                return outcome;
            }
        };
        let _held = self.intake.hold(prepared.encoded.len());
        // BullMQ counts its ids up; a custom one says nothing of the order.
        let order = (job.timestamp(), job.id().parse().unwrap_or(0));
        let outcome = self.engine.deliver(prepared, order).await;
        self.learn(&outcome);
        outcome
    }

    fn prepare(&self, job: &Job) -> Result<Prepared, Refusal> {
        let operation = Operation::read(job.name(), job.data(), job.timestamp())?;
        let job = JobRef {
            queue: &self.queue,
            id: job.id(),
        };
        prepare(&operation, self.mode, job)
    }

    fn learn(&self, outcome: &Outcome) {
        if !self.intake.learn(outcome) {
            return;
        }
        if let Outcome::Held(reason) = outcome {
            tracing::error!(
                outcome.class = reason.class,
                outcome.status = reason.status,
                "Customer.io refuses this workspace's requests; no jobs are taken until it does not: \
                 check CUSTOMERIO_SITE_ID, CUSTOMERIO_TRACK_API_KEY and CUSTOMERIO_REGION"
            );
        } else {
            tracing::info!("Customer.io takes this workspace's requests again");
        }
    }

    /// The outcome in BullMQ's terms: completed, failed for good, failed once, or put back at the
    /// front of the queue without using an attempt.
    fn answer(&self, job: &Job, outcome: Outcome) -> Result<Value, Error> {
        match outcome {
            // JSON, whatever it is: readers of BullMQ's event stream stop at anything else.
            Outcome::Delivered => Ok(Value::Null),
            Outcome::Rejected(reason) => {
                let sentence = reason.to_string();
                self.expect(job, reason, true);
                Err(Error::Unrecoverable(sentence))
            }
            Outcome::Failed(reason) => {
                let sentence = reason.to_string();
                let last = job.attempts_made() + 1 >= job.opts().attempts.unwrap_or(0);
                self.expect(job, reason, last);
                Err(Error::ProcessingError(sentence))
            }
            Outcome::Held(_) | Outcome::Returned => Err(Error::RateLimited { delay_ms: 0 }),
        }
    }

    fn expect(&self, job: &Job, reason: Reason, last: bool) {
        let failure = Expected {
            operation: operation(job),
            reason,
            attempt: job.attempts_made() + 1,
            last,
        };
        self.failures.expect(job.id(), failure);
    }
}

/// A job's name where it is one of ours: any other is the producer's, and goes into no label.
fn operation(job: &Job) -> &'static str {
    match job.name() {
        "identify" => "identify",
        "track" => "track",
        _ => "unknown",
    }
}
