//! Workers, queues and what is in them.

use std::time::Duration;

use bullmq::options::{QueueOptions, RedisConnectionOptions};
use bullmq::types::BackoffStrategy;
use bullmq::{BulkJob, JobOptions, Queue};
use cio_operator::delivery::Mode;
use cio_operator::delivery::client::Region;
use cio_operator::delivery::credentials::{Credentials, CredentialsSource};
use cio_operator::queue::source::RedisSource;
use cio_operator::worker::settings::{DeliverySettings, Locks, Retention, WorkerSettings};
use cio_operator::worker::{self, WorkerError};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::receiver::Receiver;
use crate::support::eventually;
use crate::support::redis::RedisServer;

pub(crate) const QUEUE: &str = "cio-events";
/// The longest wait before a probe.
pub(crate) const HOLD: Duration = Duration::from_millis(300);

/// The queue, as a producer has it.
pub(crate) async fn queue(server: &RedisServer) -> Queue {
    queue_named(server, QUEUE).await
}

/// Likewise, one with another name.
pub(crate) async fn queue_named(server: &RedisServer, name: &str) -> Queue {
    let connection = RedisConnectionOptions::new().url(server.url());
    let options = QueueOptions {
        connection,
        ..QueueOptions::default()
    };
    Queue::with_options(name, options).await.expect("a queue")
}

/// A track job of the guide's shape.
pub(crate) fn track(user: &str, name: &str, data: &Value) -> (String, Value) {
    let body = json!({"name": name, "data": data});
    (
        "track".to_owned(),
        json!({"userId": user, "data": body, "enqueuedAt": 1_700_000_000_000_u64}),
    )
}

/// Adds jobs with the guide's options.
pub(crate) async fn add(queue: &Queue, jobs: impl IntoIterator<Item = (String, Value)>) {
    add_with_attempts(queue, 5, jobs).await;
}

/// Adds jobs with the guide's options, but for how often each is tried.
pub(crate) async fn add_with_attempts(
    queue: &Queue,
    attempts: u32,
    jobs: impl IntoIterator<Item = (String, Value)>,
) {
    let options = || JobOptions {
        attempts: Some(attempts),
        backoff: Some(BackoffStrategy::Exponential(50)),
        ..JobOptions::default()
    };
    let jobs = jobs.into_iter();
    let mut jobs = jobs.map(|(name, data)| BulkJob::with_options(name, data, options()));
    loop {
        let chunk: Vec<_> = jobs.by_ref().take(500).collect();
        if chunk.is_empty() {
            return;
        }
        queue.add_bulk(chunk).await.expect("jobs to be added");
    }
}

/// `count` track jobs over `users` users, numbered.
pub(crate) fn many(count: usize, users: usize) -> impl Iterator<Item = (String, Value)> {
    (0..count).map(move |n| track(&format!("user-{}", n % users), "numbered", &json!({"n": n})))
}

/// Settings for a worker of this process.
pub(crate) fn settings(server: &RedisServer, receiver: &Receiver, mode: Mode) -> WorkerSettings {
    let credentials = Credentials::new(Some("site"), Some("key")).expect("credentials");
    WorkerSettings {
        redis: RedisSource::fixed(server.url().parse().expect("an address")),
        prefix: "bull".parse().expect("a prefix"),
        queue: QUEUE.parse().expect("a queue's name"),
        delivery: DeliverySettings {
            mode,
            concurrency: 10,
            max_concurrent: 15,
            requests_per_second: 0,
            region: Region::Us,
            endpoint: receiver.url.parse().expect("an endpoint"),
            credentials: CredentialsSource::Fixed(credentials),
        },
        retention: Retention {
            completed: 10_000,
            failed: 50_000,
        },
        locks: Locks::default(),
        hold: HOLD,
        grace: Duration::from_secs(10),
        health_log: false,
        traces: None,
    }
}

/// A worker of this process.
pub(crate) struct Running {
    pub(crate) address: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    pub(crate) async fn start(settings: WorkerSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker::run(settings, listener, stop.clone()));
        Self {
            address,
            stop,
            task,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a clean end");
    }
}

/// How many jobs are (waiting or delayed, active, completed, failed).
pub(crate) async fn counts(queue: &Queue) -> (u64, u64, u64, u64) {
    let counts = queue.get_job_counts().await.expect("counts");
    let waiting = counts.waiting + counts.delayed + counts.prioritized + counts.paused;
    (waiting, counts.active, counts.completed, counts.failed)
}

/// Waits until every one of `total` jobs is completed or failed; how many are each.
pub(crate) async fn all_finished(queue: &Queue, total: u64) -> (u64, u64) {
    eventually("all jobs to be finished", async || {
        let (_, _, completed, failed) = counts(queue).await;
        (completed + failed == total).then_some((completed, failed))
    })
    .await
}
