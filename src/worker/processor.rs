//! One job: read, prepared, delivered; its outcome in BullMQ's terms.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bullmq::{Error, Job};
use futures::FutureExt;
use serde_json::Value;
use tracing::{Instrument, Span};

use super::failures::{Expected, Failures};
use super::intake::Intake;
use super::origin::Origin;
use crate::delivery::Mode;
use crate::delivery::encode::{JobRef, Prepared, prepare};
use crate::delivery::engine::Engine;
use crate::delivery::metrics::DeliveryMetrics;
use crate::delivery::operation::Operation;
use crate::delivery::outcome::Outcome;
use crate::delivery::reason::Reason;
use crate::delivery::refusal::Refusal;
use crate::delivery::spans;
use crate::queue::job::loggable_id;
use crate::runtime::clock::Clock;
use crate::runtime::traces;

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
    pub(super) clock: Clock,
    /// Where traces are exported.
    pub(super) origin: Option<Origin>,
}

impl Processor {
    /// Processes `job`. A panic is a failed attempt: BullMQ's loop would hold on to the job for
    /// ever.
    pub(super) async fn process(&self, job: Job) -> Result<Value, Error> {
        let span = self.span(&job).await;
        let work = self.deliver(&job).instrument(span.clone());
        let work = AssertUnwindSafe(work).catch_unwind().await;
        let outcome = work.unwrap_or_else(|_| {
            Outcome::Failed(Reason {
                class: "panic",
                status: None,
                field: None,
                message: "an error in cio itself; its log says more".to_owned(),
            })
        });
        spans::finish_job(&span, &outcome);
        drop(span);
        self.answer(&job, outcome).await
    }

    /// The job's span for traces, as a child of its producer's.
    async fn span(&self, job: &Job) -> Span {
        let span = spans::job(operation(job), job.attempts_made() + 1);
        if let Some(origin) = &self.origin {
            span.record("job.id", &*loggable_id(job.id()));
            if let Some(producer) = origin.of(job.id()).await {
                traces::parent(&span, &producer);
            }
        }
        span
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
        self.engine.deliver(prepared, order).await
    }

    fn prepare(&self, job: &Job) -> Result<Prepared, Refusal> {
        let operation = Operation::read(job.name(), job.data(), job.timestamp())?;
        let job = JobRef {
            queue: &self.queue,
            id: job.id(),
        };
        prepare(&operation, self.mode, job)
    }

    /// The outcome in BullMQ's terms: completed, failed for good, failed once, or, without using an
    /// attempt, put aside or back at the front of the queue.
    async fn answer(&self, job: &Job, outcome: Outcome) -> Result<Value, Error> {
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
            Outcome::Held(aside) => Err(self.put_aside(job, aside).await),
            Outcome::Returned => Err(Error::RateLimited { delay_ms: 0 }),
        }
    }

    async fn put_aside(&self, job: &Job, aside: Duration) -> Error {
        let aside_ms = u64::try_from(aside.as_millis()).unwrap_or(u64::MAX);
        let until = self.clock.now_ms().saturating_add(aside_ms);
        match job.move_to_delayed(until).await {
            Ok(()) => Error::Delayed,
            // Redis is away, or another worker has the job: what is tried next says so itself.
            Err(_) => Error::RateLimited { delay_ms: 0 },
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
