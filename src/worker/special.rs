//! Jobs that our own scripts do not cover (of a flow, of a scheduler, with a deduplication id):
//! BullMQ's own loop takes them. It runs for a while whenever such a job is next, and takes what
//! comes meanwhile.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bullmq::options::{MetricsOptions, RedisConnectionOptions};
use bullmq::types::RemoveOnFinish;
use bullmq::worker::WorkerEvent;
use bullmq::{Error, Job, Worker, WorkerOptions};
use serde_json::Value;
use tokio::task::JoinHandle;
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
/// For how long after a turn it may still take a marker that was meant for our own loop.
const AFTERMATH: Duration = Duration::from_secs(5);
/// How long our own loop waits for a marker meanwhile.
const WAIT_IN_AFTERMATH: Duration = Duration::from_millis(500);
/// Empty turns after which a loop is replaced. In one or two another pod may have been faster.
const REPLACED_AFTER: u32 = 3;
/// After an error of Redis.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// BullMQ's own loop; started when it is needed for the first time, and anew where Redis has moved.
#[derive(Debug)]
pub(super) struct Special {
    settings: WorkerSettings,
    process: Arc<Process>,
    running: Mutex<Option<Loop>>,
    /// The loop before this one, until it is over.
    replaced: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// What a job is processed with.
#[derive(Debug)]
struct Process {
    settings: WorkerSettings,
    processor: Processor,
    hand: Hand,
    clock: Clock,
}

/// It has the address and the password of Redis that held when it was started.
#[derive(Clone)]
struct Loop {
    worker: Arc<Worker>,
    /// Turns in a row in which it took nothing; [`REPLACED_AFTER`] at once when Redis fails it.
    empty_turns: Arc<AtomicU32>,
}

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
            running: Mutex::new(None),
            replaced: tokio::sync::Mutex::new(None),
        }
    }

    /// Lets it take up to `jobs` jobs at once. One that Redis failed, or that takes nothing though
    /// there is a job for it, may talk to a Redis that is not in charge any more: a new one takes
    /// its place.
    ///
    /// # Errors
    /// Why it could not be started.
    pub(super) async fn resume(&self, jobs: usize) -> Result<(), String> {
        let found = self.running();
        let worker = match found {
            Some(it) if it.empty_turns.fetch_add(1, Ordering::Relaxed) < REPLACED_AFTER => {
                it.worker
            }
            found => {
                self.replace(found).await;
                self.start().await?
            }
        };
        worker.set_concurrency(jobs);
        worker.resume();
        Ok(())
    }

    /// Lets it take no more jobs; those it has are finished.
    pub(super) fn pause(&self) {
        if let Some(it) = self.running() {
            it.worker.pause();
        }
    }

    /// Ends it when its jobs are done, at the latest at `deadline`.
    pub(super) async fn end(&self, deadline: Instant) {
        if let Some(it) = self.running() {
            close(&it.worker, deadline).await;
        }
        if let Some(replaced) = self.replaced.lock().await.take() {
            // One that is not over in time ends with the process.
            tokio::time::timeout_at(deadline, replaced).await.ok();
        }
    }

    fn running(&self) -> Option<Loop> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.clone()
    }

    /// Lets a loop go: its jobs are finished meanwhile. There are never more than two.
    async fn replace(&self, old: Option<Loop>) {
        let mut replaced = self.replaced.lock().await;
        if let Some(before) = replaced.as_mut() {
            // That it panicked changes nothing.
            before.await.ok();
            *replaced = None;
        }
        if let Some(old) = old {
            let deadline = Instant::now() + self.settings.grace;
            *replaced = Some(tokio::spawn(async move {
                close(&old.worker, deadline).await;
            }));
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    async fn start(&self) -> Result<Arc<Worker>, String> {
        let started = Loop {
            worker: Arc::new(self.connect().await?),
            empty_turns: Arc::default(),
        };
        let worker = Arc::clone(&started.worker);
        worker.run().await.map_err(|error| error.to_string())?;
        tokio::spawn(log(started.clone(), self.settings.clone()));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(worker)
    }

    async fn connect(&self) -> Result<Worker, String> {
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

/// How long our own loop may wait for a marker when the last turn began at `turn`: an idle loop of
/// BullMQ's that was told to pause still waits for one, and what it takes wakes nobody else.
pub(super) fn longest_wait(turn: Option<Instant>) -> Duration {
    match turn {
        Some(at) if at.elapsed() < TURN + AFTERMATH => WAIT_IN_AFTERMATH,
        _ => Duration::MAX,
    }
}

async fn close(worker: &Worker, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    if let Err(error) = worker.close(left_ms).await {
        tracing::warn!(error = %error, "BullMQ's loop did not end cleanly");
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
            data: Ok(job.data()),
            timestamp_ms: job.timestamp(),
            attempts_made: job.attempts_made(),
            // The crate does not pass it on.
            telemetry: None,
        };
        let outcome = self.processor.submit(&written).outcome().await;
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
async fn log(it: Loop, settings: WorkerSettings) {
    let mut broken = false;
    while let Some(event) = it.worker.next_event().await {
        match event {
            WorkerEvent::Error(error) => {
                it.empty_turns.store(REPLACED_AFTER, Ordering::Relaxed);
                // They come every second while Redis is away, and one line is enough.
                if !std::mem::replace(&mut broken, true) {
                    tracing::warn!(
                        queue.name = %settings.queue,
                        error = without_ids(&error),
                        "BullMQ's loop reports an error; it goes on"
                    );
                }
            }
            WorkerEvent::Active { .. } | WorkerEvent::Completed { .. } => {
                it.empty_turns.store(0, Ordering::Relaxed);
                broken = false;
            }
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
