//! Jobs that our own scripts do not cover (of a flow, of a scheduler, with a deduplication id):
//! BullMQ's own loop takes them. It runs for a while whenever such a job is next, and takes what
//! comes meanwhile.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bullmq::options::{MetricsOptions, RedisConnectionOptions};
use bullmq::types::RemoveOnFinish;
use bullmq::worker::WorkerEvent;
use bullmq::{Error, Job, Worker, WorkerOptions};
use serde_json::Value;
use tokio::time::Instant;

use super::failures;
use super::hand::Hand;
use super::keeper::MAX_STALLED;
use super::processor::{Processor, Written, ending};
use super::settings::WorkerSettings;
use crate::queue::bullmq_options::bullmq_options;
use crate::queue::jobs::finish::Ending;
use crate::runtime::clock::Clock;

/// How long it runs when a job for it is next.
pub(super) const TURN: Duration = Duration::from_secs(1);
/// How long it may take to start.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// An idle loop asks so often, and needs up to so long to end.
const DRAIN_DELAY: Duration = Duration::from_secs(1);
/// After an error of Redis.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// BullMQ's own loop; started when it is needed for the first time.
#[derive(Debug)]
pub(super) struct Special {
    settings: WorkerSettings,
    process: Arc<Process>,
    worker: OnceLock<Loop>,
}

/// What a job is processed with.
#[derive(Debug)]
struct Process {
    settings: WorkerSettings,
    processor: Processor,
    hand: Hand,
    clock: Clock,
}

struct Loop(Arc<Worker>);

impl std::fmt::Debug for Loop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loop")
    }
}

impl Special {
    pub(super) fn new(settings: WorkerSettings, processor: Processor, hand: Hand) -> Self {
        let process = Process {
            settings: settings.clone(),
            processor,
            hand,
            clock: Clock::system(),
        };
        Self {
            settings,
            process: Arc::new(process),
            worker: OnceLock::new(),
        }
    }

    /// Lets it take up to `jobs` jobs at once.
    ///
    /// # Errors
    /// Why it could not be started.
    pub(super) async fn resume(&self, jobs: usize) -> Result<(), String> {
        if self.worker.get().is_none() {
            let worker = Arc::new(self.start().await?);
            worker.run().await.map_err(|error| error.to_string())?;
            tokio::spawn(log(Arc::clone(&worker), self.settings.clone()));
            // There is one in a process' life, and one task that starts it.
            self.worker.set(Loop(worker)).ok();
        }
        self.with_worker(|worker| {
            worker.set_concurrency(jobs);
            worker.resume();
        });
        Ok(())
    }

    /// Lets it take no more jobs; those it has are finished.
    pub(super) fn pause(&self) {
        self.with_worker(Worker::pause);
    }

    /// Ends it when its jobs are done, at the latest at `deadline`.
    pub(super) async fn end(&self, deadline: Instant) {
        let Some(Loop(worker)) = self.worker.get() else {
            return;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        if let Err(error) = worker.close(left_ms).await {
            tracing::warn!(error = %error, "BullMQ's loop did not end cleanly");
        }
    }

    fn with_worker(&self, act: impl FnOnce(&Worker)) {
        if let Some(Loop(worker)) = self.worker.get() {
            act(worker);
        }
    }

    async fn start(&self) -> Result<Worker, String> {
        let connection = bullmq_options(&self.settings.redis)
            .await
            .map_err(|error| error.to_string())?;
        let process = Arc::clone(&self.process);
        let process = move |job: Job, _| {
            let process = Arc::clone(&process);
            async move { process.run(job).await }
        };
        let queue = self.settings.queue.as_str();
        Worker::with_options(queue, process, options(&self.settings, connection))
            .await
            .map_err(|error| error.to_string())
    }
}

fn options(settings: &WorkerSettings, connection: RedisConnectionOptions) -> WorkerOptions {
    let WorkerSettings {
        prefix,
        delivery,
        retention,
        locks,
        ..
    } = settings;
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

impl Process {
    async fn run(&self, job: Job) -> Result<Value, Error> {
        let _held = self.hand.hold(job.data().to_string().len(), None);
        let written = Written {
            id: job.id(),
            name: job.name(),
            data: Some(job.data()),
            timestamp_ms: job.timestamp(),
            attempts_made: job.attempts_made(),
            // The crate does not pass it on.
            telemetry: None,
        };
        let outcome = self.processor.submit(written).outcome().await;
        let (ending, failure) = ending(job.name(), outcome);
        if let Some(failure) = failure {
            let attempt = job.attempts_made() + 1;
            let retry = matches!(ending, Ending::Failed { retry: true, .. });
            let last = !retry || attempt >= job.opts().attempts.unwrap_or(0);
            failures::log(&self.settings.queue, job.id(), attempt, last, &failure);
        }
        self.answer(&job, ending).await
    }

    async fn answer(&self, job: &Job, ending: Ending) -> Result<Value, Error> {
        match ending {
            Ending::Completed => Ok(Value::Null),
            Ending::Failed {
                reason,
                retry: true,
            } => Err(Error::ProcessingError(reason)),
            Ending::Failed { reason, .. } => Err(Error::Unrecoverable(reason)),
            Ending::PutBack => Err(Error::RateLimited { delay_ms: 0 }),
            Ending::PutAside(pause) => {
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let until = self.clock.now_ms().saturating_add(pause_ms);
                Err(match job.move_to_delayed(until).await {
                    Ok(()) => Error::Delayed,
                    // Redis is away, or another worker has the job: what is tried next says so.
                    Err(_) => Error::RateLimited { delay_ms: 0 },
                })
            }
        }
    }
}

/// Logs the loop's errors until it has ended. Its channel has no bound: it is always read.
async fn log(worker: Arc<Worker>, settings: WorkerSettings) {
    let mut broken = false;
    while let Some(event) = worker.next_event().await {
        match event {
            // They come every second while Redis is away, and one line is enough.
            WorkerEvent::Error(error) if !std::mem::replace(&mut broken, true) => tracing::warn!(
                queue.name = %settings.queue,
                error = without_ids(&error),
                "BullMQ's loop reports an error; it goes on"
            ),
            WorkerEvent::Active { .. } | WorkerEvent::Completed { .. } => broken = false,
            WorkerEvent::Closed => return,
            _ => {}
        }
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
}
