//! BullMQ's loop over the queue: started when Redis answers, ended within the grace period.

use std::sync::Arc;
use std::time::Duration;

use bullmq::options::{MetricsOptions, RedisConnectionOptions};
use bullmq::types::RemoveOnFinish;
use bullmq::worker::WorkerEvent;
use bullmq::{Error, Job, Worker, WorkerOptions};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::WorkerError;
use super::failures::Failures;
use super::intake::Intake;
use super::processor::Processor;
use super::settings::WorkerSettings;
use crate::delivery::circuit::{Breaker, Circumstance};
use crate::delivery::engine::Engine;
use crate::queue::bullmq_options::bullmq_options;
use crate::queue::counts::CountsReader;
use crate::runtime::backoff::Backoff;

/// Between attempts to reach Redis at the start.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    most: Duration::from_secs(5),
};
/// A pod that is killed leaves thousands of jobs stalled through no fault of theirs; BullMQ's own
/// default would fail those that this happens to twice.
const MAX_STALLED: u32 = 10;
/// An idle loop asks so often, and needs up to so long to end.
const DRAIN_DELAY: Duration = Duration::from_secs(1);
/// After an error of Redis.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What consumes the queue.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) settings: WorkerSettings,
    pub(super) processor: Arc<Processor>,
    pub(super) engine: Engine,
    pub(super) breaker: Breaker,
    pub(super) intake: Arc<Intake>,
    pub(super) failures: Arc<Failures>,
    pub(super) halt: CancellationToken,
}

impl Consumer {
    /// Consumes until `stop`, then ends.
    pub(super) async fn run(
        &self,
        counts: &CountsReader,
        stop: &CancellationToken,
    ) -> Result<(), WorkerError> {
        let Some(worker) = stop.run_until_cancelled(self.start(counts)).await else {
            return Ok(());
        };
        let worker = Arc::new(worker?);
        self.intake.control(&worker);
        let log = self.log(&worker);
        let consume = async {
            let run = worker.run().await;
            if run.is_ok() {
                tracing::info!(queue.name = %self.settings.queue, "taking jobs");
                stop.run_until_cancelled(self.follow()).await;
            }
            self.end(&worker).await;
            run.map_err(|error| WorkerError::Consume(error.to_string()))
        };
        let ((), outcome) = tokio::join!(log, consume);
        outcome
    }

    /// The loop, not yet running. Waits for a Redis that answers.
    async fn start(&self, counts: &CountsReader) -> Result<Worker, WorkerError> {
        let mut failures = 0;
        loop {
            let error = match self.connect(counts).await {
                Ok(worker) => return Ok(worker),
                Err(Start::Never(error)) => return Err(WorkerError::Consume(error)),
                Err(Start::NotYet(error)) => error,
            };
            failures += 1;
            if failures == 1 {
                tracing::warn!(error, "Redis does not answer; waiting for it");
            }
            tokio::time::sleep(BACKOFF.delay(failures)).await;
        }
    }

    async fn connect(&self, counts: &CountsReader) -> Result<Worker, Start> {
        let not_yet = |error: crate::queue::QueueError| Start::NotYet(error.to_string());
        // BullMQ's own way to connect tries for long before it says anything.
        counts.read().await.map_err(not_yet)?;
        let connection = bullmq_options(&self.settings.redis)
            .await
            .map_err(not_yet)?;
        let processor = Arc::clone(&self.processor);
        let process = move |job: Job, _| {
            let processor = Arc::clone(&processor);
            async move { processor.process(job).await }
        };
        let queue = self.settings.queue.as_str();
        let options = self.options(connection);
        let worker = Worker::with_options(queue, process, options).await;
        worker.map_err(|error| match error {
            Error::InvalidConfig(_) => Start::Never(error.to_string()),
            _ => Start::NotYet(error.to_string()),
        })
    }

    fn options(&self, connection: RedisConnectionOptions) -> WorkerOptions {
        let WorkerSettings {
            prefix,
            delivery,
            retention,
            locks,
            ..
        } = &self.settings;
        WorkerOptions::new()
            .connection(connection)
            .prefix(prefix.as_str())
            .concurrency(delivery.jobs_at_once())
            .lock_duration(locks.duration)
            .stalled_interval(locks.stalled_interval)
            .max_stalled_count(MAX_STALLED)
            .drain_delay(DRAIN_DELAY)
            .run_retry_delay(RETRY_DELAY)
            .remove_on_complete(RemoveOnFinish::Count(retention.completed))
            .remove_on_fail(RemoveOnFinish::Count(retention.failed))
            .metrics(MetricsOptions::default())
            .manual_start()
    }

    /// Takes jobs while they can be delivered, and one now and then while they cannot.
    async fn follow(&self) {
        let mut circumstance = self.breaker.circumstance();
        loop {
            let now = *circumstance.borrow_and_update();
            self.intake.allow(now);
            if let Circumstance::Down(wait) = now {
                tokio::time::sleep(wait).await;
                self.breaker.probe();
            } else if circumstance.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes no more jobs, lets the requests in flight finish and gives the other jobs back.
    async fn end(&self, worker: &Worker) {
        let deadline = Instant::now() + self.settings.grace;
        worker.pause();
        self.halt.cancel();
        if tokio::time::timeout_at(deadline, self.engine.stopped())
            .await
            .is_err()
        {
            tracing::warn!("requests were still in flight at the end of the grace period");
        }
        // What the requests' jobs still need is a few scripts.
        let left = deadline.saturating_duration_since(Instant::now());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        if let Err(error) = worker.close(left_ms).await {
            tracing::warn!(error = %error, "BullMQ's loop did not end cleanly");
        }
    }

    /// Logs what the loop says until it has ended. Its channel has no bound: it is always read.
    async fn log(&self, worker: &Worker) {
        let mut broken = false;
        while let Some(event) = worker.next_event().await {
            self.failures.log(&event, &mut broken);
            if matches!(event, WorkerEvent::Closed) {
                return;
            }
        }
    }
}

/// Why the loop is not there.
enum Start {
    /// Redis does not answer.
    NotYet(String),
    /// The settings are wrong.
    Never(String),
}
