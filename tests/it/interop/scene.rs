//! A queue with our worker on one side and BullMQ on the other.

use std::time::Duration;

use cio_operator::delivery::Mode;
use cio_operator::worker::settings::WorkerSettings;
use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use super::peer::Peer;
use crate::support::eventually;
use crate::support::redis::RedisServer;
use crate::worker::bench::{QUEUE, Running, settings};
use crate::worker::receiver::Receiver;

/// Locks and checks of the tests, in ms: for Node's workers, and likewise for ours.
pub(super) const LOCK_MS: u64 = 800;
pub(super) const STALLED_MS: u64 = 400;

/// Everything a test needs.
pub(super) struct Scene {
    pub(super) server: RedisServer,
    pub(super) receiver: Receiver,
    pub(super) peer: Peer,
    redis: MultiplexedConnection,
}

impl Scene {
    /// A receiver that accepts everything, and no worker yet.
    pub(super) async fn new(package: &str) -> Self {
        let server = RedisServer::start();
        let client = redis::Client::open(server.url()).unwrap();
        Self {
            receiver: Receiver::start().await,
            peer: Peer::start(package, &server.url()).await,
            redis: client.get_multiplexed_async_connection().await.unwrap(),
            server,
        }
    }

    /// One request for each job, ten at once, short locks.
    pub(super) fn settings(&self) -> WorkerSettings {
        let mut settings = settings(&self.server, &self.receiver, Mode::Single);
        settings.locks.duration = Duration::from_millis(LOCK_MS);
        settings.locks.stalled_interval = Duration::from_millis(STALLED_MS);
        settings
    }

    /// Starts our worker.
    pub(super) async fn work(&self) -> Running {
        Running::start(self.settings()).await
    }

    /// Starts our worker, which takes one job at a time.
    pub(super) async fn work_singly(&self) -> Running {
        let mut settings = self.settings();
        settings.delivery.concurrency = 1;
        Running::start(settings).await
    }

    /// Starts a worker of BullMQ's with short locks. It looks for jobs every second: when a worker that
    /// stands still has been given the marker, nothing else tells of one. (Of itself BullMQ looks every five,
    /// and Python's then not at all: its Redis client gives up after as long.)
    pub(super) async fn peer_works(&mut self, behaviour: Value) {
        let options =
            json!({"lockDuration": LOCK_MS, "stalledInterval": STALLED_MS, "drainDelay": 1});
        self.peer
            .call("worker.start", json!([options, behaviour]))
            .await;
    }

    /// BullMQ adds a job whose event has this name; its id.
    pub(super) async fn add(&mut self, event: &str, options: Value) -> String {
        let job = self
            .peer
            .call("queue.add", json!(["track", data(event), options]))
            .await;
        job["id"].as_str().expect("an id").to_owned()
    }

    /// The job as BullMQ sees it; null where there is none.
    pub(super) async fn job(&mut self, id: &str) -> Value {
        self.peer.call("job", json!([id])).await
    }

    /// The job, once BullMQ says that it is in this state.
    pub(super) async fn job_in(&mut self, id: &str, state: &str) -> Value {
        eventually(&format!("job {id} {state}"), async || {
            let job = self.job(id).await;
            (job["state"] == state).then_some(job)
        })
        .await
    }

    /// What BullMQ's worker was given so far.
    pub(super) async fn runs(&mut self) -> Vec<Value> {
        array(self.peer.call("runs", json!([])).await)
    }

    /// What BullMQ counts in this state.
    pub(super) async fn count(&mut self, state: &str) -> u64 {
        let counts = self.peer.call("queue.getJobCounts", json!([state])).await;
        counts[state].as_u64().expect("a count")
    }

    /// Waits until BullMQ counts so many jobs in this state.
    pub(super) async fn until_count(&mut self, state: &str, count: u64) {
        eventually(&format!("{count} {state}"), async || {
            (self.count(state).await == count).then_some(())
        })
        .await;
    }

    /// Waits until Customer.io has been asked so often.
    pub(super) async fn until_requests(&self, count: usize) {
        eventually(&format!("{count} requests"), async || {
            (self.receiver.count() >= count).then_some(())
        })
        .await;
    }

    /// The names of the events in the order in which they came.
    pub(super) fn arrived(&self) -> Vec<String> {
        let arrivals = self.receiver.arrivals();
        let names = arrivals.iter().map(|it| it.body["name"].as_str());
        names.map(|it| it.unwrap_or_default().to_owned()).collect()
    }

    /// A command of Redis whose first argument is a key of the queue.
    pub(super) async fn redis<T: FromRedisValue>(&mut self, command: &str, more: &[&str]) -> T {
        let mut raw = redis::cmd(command);
        raw.arg(format!("bull:{QUEUE}:{}", more[0])).arg(&more[1..]);
        raw.query_async(&mut self.redis).await.unwrap()
    }

    /// A member's score in a sorted set of any queue.
    pub(super) async fn score(&mut self, key: &str, member: &str) -> Option<f64> {
        let mut raw = redis::cmd("ZSCORE");
        raw.arg(key).arg(member);
        raw.query_async(&mut self.redis).await.unwrap()
    }

    /// The stream of events that BullMQ's `QueueEvents` reads, from its beginning.
    pub(super) async fn stream(&mut self) -> Vec<Value> {
        type Entry = (String, Vec<(String, String)>);
        let entries: Vec<Entry> = self.redis("XRANGE", &["events", "-", "+"]).await;
        let object = |(_, fields): Entry| -> Value {
            let fields = fields.into_iter().map(|(name, value)| (name, json!(value)));
            Value::Object(fields.collect())
        };
        entries.into_iter().map(object).collect()
    }

    /// The entries of that stream with this name.
    pub(super) async fn entries(&mut self, event: &str) -> Vec<Value> {
        let mut entries = self.stream().await;
        entries.retain(|it| it["event"] == event);
        entries
    }
}

/// What a job holds whose event has this name.
pub(super) fn data(event: &str) -> Value {
    json!({"userId": format!("user of {event}"), "data": {"name": event}, "enqueuedAt": 1_700_000_000_000_u64})
}

/// The elements of a JSON array.
pub(super) fn array(value: Value) -> Vec<Value> {
    match value {
        Value::Array(elements) => elements,
        other => panic!("not an array: {other}"),
    }
}

/// A number.
pub(super) fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("not a number: {value}"))
}
