//! A queue with BullMQ on one side and the built binary on the other.

use std::process::{Command, Output, Stdio};

use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::interop::peer::Peer;
use crate::support::eventually;
use crate::support::redis::RedisServer;
use crate::worker::bench::QUEUE;

pub(super) struct Scene {
    pub(super) server: RedisServer,
    pub(super) peer: Peer,
    redis: MultiplexedConnection,
}

impl Scene {
    pub(super) async fn new(package: &str) -> Self {
        let server = RedisServer::start();
        let client = redis::Client::open(server.url()).unwrap();
        Self {
            peer: Peer::start(package, &server.url()).await,
            redis: client.get_multiplexed_async_connection().await.unwrap(),
            server,
        }
    }

    /// `cio queue` with these arguments, here; no terminal.
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        cio(&[&["queue"], arguments].concat(), &self.server.url())
    }

    /// The same as JSON; it must end well.
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).expect("JSON on standard output")
    }

    /// BullMQ adds jobs that identify u0, u1, …; their ids.
    pub(super) async fn add(&mut self, count: usize, options: Value) -> Vec<String> {
        let job = |n| {
            let data =
                json!({"userId": format!("u{n}"), "data": {"email": format!("u{n}@example.com")}});
            json!({"name": "identify", "data": data, "opts": options})
        };
        let jobs: Vec<Value> = (0..count).map(job).collect();
        let added = self.peer.call("queue.addBulk", json!([jobs])).await;
        let ids = added.as_array().expect("jobs").iter();
        ids.map(|job| job["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// BullMQ's workers fail every job they are given.
    pub(super) async fn peer_fails(&mut self) {
        let arguments = json!([{"concurrency": 20}, {"failures": 1_000}]);
        self.peer.call("worker.start", arguments).await;
    }

    /// So many jobs, failed at once in their order; BullMQ's worker has ended.
    pub(super) async fn add_failed(&mut self, count: usize) -> Vec<String> {
        let arguments = json!([{"concurrency": 1}, {"failures": 1_000}]);
        self.peer.call("worker.start", arguments).await;
        let ids = self.add(count, json!({"attempts": 1})).await;
        self.until_count("failed", count as u64).await;
        self.peer.call("worker.close", json!([])).await;
        ids
    }

    pub(super) async fn count(&mut self, state: &str) -> u64 {
        let counts = self.peer.call("queue.getJobCounts", json!([state])).await;
        counts[state].as_u64().expect("a count")
    }

    pub(super) async fn until_count(&mut self, state: &str, count: u64) {
        eventually(&format!("{count} {state}"), async || {
            (self.count(state).await == count).then_some(())
        })
        .await;
    }

    /// The ids that BullMQ's worker was given so far.
    pub(super) async fn runs(&mut self) -> Vec<String> {
        let runs = self.peer.call("runs", json!([])).await;
        let runs = runs.as_array().expect("runs").iter();
        runs.map(|run| run["id"].as_str().expect("an id").to_owned())
            .collect()
    }

    /// A command of Redis whose first argument is a key of the queue.
    pub(super) async fn redis<T: FromRedisValue>(&mut self, command: &str, more: &[&str]) -> T {
        let mut raw = redis::cmd(command);
        raw.arg(format!("bull:{QUEUE}:{}", more[0])).arg(&more[1..]);
        raw.query_async(&mut self.redis).await.unwrap()
    }

    /// All keys there are.
    pub(super) async fn keys(&mut self) -> Vec<String> {
        redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut self.redis)
            .await
            .unwrap()
    }
}

/// The built binary with arguments and a Redis, and nothing else.
pub(super) fn cio(arguments: &[&str], redis_url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cio"))
        .args(arguments)
        .env_clear()
        .env("REDIS_URL", redis_url)
        .env("CIO_QUEUE", QUEUE)
        .stdin(Stdio::null())
        .output()
        .expect("cio to run")
}

/// What a program said.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
