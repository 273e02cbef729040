//! `cio worker`.

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::CommandError;
use super::settings::{QueueSettings, RedisSettings, WorkspaceSettings, count};
use crate::delivery::Mode;
use crate::runtime::traces::Exporting;
use crate::runtime::{http_server, shutdown};
use crate::worker::settings::{DEFAULT_HOLD, DeliverySettings, Locks, Retention, WorkerSettings};
use crate::worker::{self, WorkerError};

/// Deliver a queue's jobs to Customer.io: one pod's worth of work.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    CUSTOMERIO_SITE_ID=… CUSTOMERIO_TRACK_API_KEY=… cio worker\n  \
    CUSTOMERIO_SITE_ID=any CUSTOMERIO_TRACK_API_KEY=any \
    CUSTOMERIO_TRACK_URL=http://127.0.0.1:8080 cio worker --delivery-mode single")]
pub(super) struct Worker {
    /// batch: many operations in a request to /api/v2/batch; single: one request each.
    #[arg(
        long,
        env = "CIO_DELIVERY_MODE",
        default_value = "batch",
        value_name = "MODE"
    )]
    delivery_mode: Mode,

    /// Requests in flight; with --delivery-mode single twice as many jobs are held, so that the next
    /// ones are there, but one alone with 1.
    #[arg(long, env = "CIO_CONCURRENCY", default_value_t = 10, value_parser = count)]
    concurrency: usize,

    /// The limit of the whole workspace, shared by all workers over Redis; 0 is no limit.
    #[arg(
        long,
        env = "CIO_REQUESTS_PER_SECOND",
        default_value_t = 80,
        value_name = "RATE"
    )]
    requests_per_second: u32,

    /// A bound on the requests of this process in flight, whatever --concurrency says.
    #[arg(long, env = "CIO_MAX_CONCURRENT", default_value_t = 15, value_parser = count)]
    max_concurrent: usize,

    /// Completed jobs to keep, of those that say nothing of it themselves.
    #[arg(
        long,
        env = "CIO_KEEP_COMPLETED",
        default_value_t = 10_000,
        value_name = "JOBS"
    )]
    keep_completed: usize,

    /// Failed jobs to keep, likewise.
    #[arg(
        long,
        env = "CIO_KEEP_FAILED",
        default_value_t = 50_000,
        value_name = "JOBS"
    )]
    keep_failed: usize,

    /// The port of /metrics, /healthz and /readyz, on every address.
    #[arg(long, env = "CIO_METRICS_PORT", default_value_t = 9101)]
    port: u16,

    /// Seconds that requests in flight may take to finish at the end.
    #[arg(long, env = "CIO_GRACE", default_value = "25", value_name = "SECONDS", value_parser = seconds)]
    grace: Duration,

    /// Log the queue's counts every 30 seconds; in a pod the sidecar does.
    #[arg(
        long,
        env = "CIO_QUEUE_HEALTH_LOG",
        default_value_t = true,
        action = clap::ArgAction::Set,
        value_name = "true|false"
    )]
    queue_health_log: bool,

    /// How long BullMQ's lock on a job lasts without renewal; for tests.
    #[arg(long, env = "CIO_LOCK_DURATION_MS", hide = true)]
    lock_duration_ms: Option<u64>,

    /// How often is looked for jobs whose worker has vanished; for tests.
    #[arg(long, env = "CIO_STALLED_INTERVAL_MS", hide = true)]
    stalled_interval_ms: Option<u64>,

    #[command(flatten)]
    redis: RedisSettings,

    #[command(flatten)]
    queue: QueueSettings,

    #[command(flatten)]
    workspace: WorkspaceSettings,
}

impl Worker {
    pub(super) async fn run(self, exporting: Option<Exporting>) -> Result<(), CommandError> {
        let port = self.port;
        let mut settings = self.settings().await?;
        settings.traces = exporting.as_ref().map(Exporting::counters);
        let listener = http_server::bind(&format!("0.0.0.0:{port}"))
            .await
            .context("--port (CIO_METRICS_PORT)")?;
        let stop = shutdown::on_signals().context("install signal handlers")?;
        let ended = worker::run(settings, listener, stop).await;
        if let Some(exporting) = exporting {
            exporting.finish().await;
        }
        ended.map_err(|error| match error {
            WorkerError::Credentials(_) => CommandError::Usage(error.to_string()),
            _ => CommandError::Failed(error.into()),
        })
    }

    async fn settings(self) -> Result<WorkerSettings, CommandError> {
        let redis = self.redis.source()?;
        // A mounted file may not be there yet, which is no reason to end; a wrong queue is one.
        if let Ok(address) = redis.address().await {
            let checked = address.check_keys(&self.queue.keys());
            checked.map_err(|error| CommandError::Usage(error.to_string()))?;
        }
        let ms = |ms: Option<u64>, default| ms.map_or(default, Duration::from_millis);
        let locks = Locks::default();
        Ok(WorkerSettings {
            delivery: self.delivery()?,
            redis,
            prefix: self.queue.queue_prefix,
            queue: self.queue.queue,
            retention: Retention {
                completed: self.keep_completed,
                failed: self.keep_failed,
            },
            locks: Locks {
                duration: ms(self.lock_duration_ms, locks.duration),
                stalled_interval: ms(self.stalled_interval_ms, locks.stalled_interval),
            },
            hold: DEFAULT_HOLD,
            grace: self.grace,
            health_log: self.queue_health_log,
            traces: None,
        })
    }

    fn delivery(&self) -> Result<DeliverySettings, CommandError> {
        Ok(DeliverySettings {
            mode: self.delivery_mode,
            concurrency: self.concurrency,
            max_concurrent: self.max_concurrent,
            requests_per_second: self.requests_per_second,
            region: self.workspace.region,
            endpoint: self.workspace.endpoint()?,
            credentials: self.workspace.credentials()?,
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("write a number of seconds from 0 to 3600".to_owned()),
    }
}
