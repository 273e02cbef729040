//! Jobs that no producer of sense would write, put into Redis as hashes of any bytes: the worker
//! never panics and never stops, each ends with a reason, and good jobs among them are delivered.

mod jobs;

use std::fs::File;
use std::time::Duration;

use proptest::collection::vec;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Pipeline};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use self::jobs::{Odd, bookkeeping_by_hand, by_hand, odd, parents_by_hand};
use crate::support::process::Cio;
use crate::support::redis::RedisServer;
use crate::support::simulator::{SimulatorProcess, TakenEvents};

const PREFIX: &str = "bull:cio-events:";
/// Rounds of the property, and odd jobs in each.
const ROUNDS: u32 = 4;
const JOBS: usize = 200;
/// Good jobs in each round.
const GOOD: usize = 20;
/// Far longer than it takes: whoever needs this long is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a worker delivers: each holds jobs in its own way.
const MODES: [&str; 2] = ["batch", "single"];

/// A worker with short locks, and what it works on.
struct Bench {
    redis: MultiplexedConnection,
    simulator: SimulatorProcess,
    worker: Cio,
    folder: TempDir,
    rounds: u32,
    _server: RedisServer,
}

impl Bench {
    async fn start(mode: &str) -> Self {
        let server = RedisServer::start();
        let client = redis::Client::open(server.url()).expect("a client");
        let redis = client
            .get_multiplexed_async_connection()
            .await
            .expect("a connection");
        let simulator = SimulatorProcess::start(&[]).await;
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a log");
        let url = server.url();
        let variables = [
            ("REDIS_URL", url.as_str()),
            ("CUSTOMERIO_SITE_ID", "site"),
            ("CUSTOMERIO_TRACK_API_KEY", "key"),
            ("CUSTOMERIO_TRACK_URL", simulator.url.as_str()),
            ("CIO_DELIVERY_MODE", mode),
            ("CIO_METRICS_PORT", "0"),
            ("CIO_LOCK_DURATION_MS", "1000"),
            ("CIO_STALLED_INTERVAL_MS", "300"),
        ];
        let worker = Cio::start_logging(&["worker"], &variables, log);
        Self {
            redis,
            simulator,
            worker,
            folder,
            rounds: 0,
            _server: server,
        }
    }

    /// Puts odd jobs and good ones into the queue, waits for the end of all, and says what is wrong.
    async fn round(&mut self, jobs: &[Odd]) -> Result<(), String> {
        self.rounds += 1;
        let mut pipeline = redis::pipe();
        for (number, job) in jobs.iter().enumerate() {
            job.write(
                &mut pipeline,
                PREFIX,
                &format!("odd-{}-{number}", self.rounds),
            );
            if number % (jobs.len() / GOOD).max(1) == 0 {
                self.write_good(&mut pipeline, number);
            }
        }
        pipeline
            .cmd("ZADD")
            .arg(format!("{PREFIX}marker"))
            .arg(0)
            .arg("0")
            .ignore();
        pipeline
            .query_async::<()>(&mut self.redis)
            .await
            .expect("to write");
        let stuck = self.finish().await;
        let mut wrong = Vec::new();
        for (number, job) in jobs.iter().enumerate() {
            let id = format!("odd-{}-{number}", self.rounds);
            if let Err(error) = self.ended(&id, job).await {
                wrong.push(format!("{error}: {job:?}"));
            }
        }
        self.good_are_delivered(jobs.len()).await?;
        if let Some(status) = self.worker.ended() {
            return Err(format!("the worker ended: {status}"));
        }
        let log = self.log();
        if log.contains("panicked") {
            return Err(format!("the worker panicked: {log}"));
        }
        if wrong.is_empty() && stuck.is_empty() {
            return Ok(());
        }
        let end: Vec<_> = log.lines().rev().take(8).collect();
        Err(format!(
            "{stuck:?} are left in the queue;\n{}\n{}",
            wrong.join("\n"),
            end.join("\n")
        ))
    }

    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).expect("a log");
        String::from_utf8_lossy(&log).into_owned()
    }

    fn write_good(&self, pipeline: &mut Pipeline, number: usize) {
        let name = self.good_name(number);
        let data =
            json!({"userId": "good", "data": {"name": name}, "enqueuedAt": 1_700_000_000_000_u64});
        let good = Odd::plain("track", data.to_string().as_bytes());
        good.write(pipeline, PREFIX, &name);
    }

    fn good_name(&self, number: usize) -> String {
        format!("good-{}-{number}", self.rounds)
    }

    /// Waits until the queue has nothing to do; the ids of what is still there after a long time.
    async fn finish(&mut self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut left: Vec<Vec<u8>> = Vec::new();
            for list in ["wait", "active"] {
                let ids: Vec<Vec<u8>> = self
                    .redis
                    .lrange(format!("{PREFIX}{list}"), 0, -1)
                    .await
                    .expect("ids");
                left.extend(ids);
            }
            for set in ["delayed", "prioritized", "waiting-children"] {
                let ids: Vec<Vec<u8>> = self
                    .redis
                    .zrange(format!("{PREFIX}{set}"), 0, -1)
                    .await
                    .expect("ids");
                left.extend(ids);
            }
            if left.is_empty() || Instant::now() > deadline {
                return left
                    .iter()
                    .map(|id| String::from_utf8_lossy(id).into_owned())
                    .collect();
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether a job is where it belongs: completed, or failed with a reason; or gone, where it says
    /// so itself or never was more than an id.
    async fn ended(&mut self, id: &str, job: &Odd) -> Result<(), String> {
        let score = async |redis: &mut MultiplexedConnection, set: &str| -> Option<f64> {
            redis
                .zscore(format!("{PREFIX}{set}"), id)
                .await
                .expect("a score")
        };
        let failed = score(&mut self.redis, "failed").await;
        let completed = score(&mut self.redis, "completed").await;
        let reason: Option<Vec<u8>> = self
            .redis
            .hget(format!("{PREFIX}{id}"), "failedReason")
            .await
            .expect("a field");
        match (failed, completed) {
            (Some(_), None) if reason.as_ref().is_some_and(|it| !it.is_empty()) => Ok(()),
            (Some(_), None) => Err(format!("{id} failed without a reason")),
            (None, Some(_)) if job.may_be_delivered() => Ok(()),
            (None, Some(_)) => Err(format!("{id} was taken for delivered")),
            (None, None) if job.may_be_gone() => Ok(()),
            _ => Err(format!("{id} is in no set of finished jobs")),
        }
    }

    async fn good_are_delivered(&self, jobs: usize) -> Result<(), String> {
        let mut taken = TakenEvents::default();
        taken.read(&self.simulator).await;
        let names = taken.by_name();
        for number in (0..jobs).step_by((jobs / GOOD).max(1)) {
            let name = self.good_name(number);
            if names.get(name.as_str()) != Some(&1) {
                return Err(format!(
                    "{name} was delivered {:?} times",
                    names.get(name.as_str())
                ));
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_being_odd_ends_with_a_reason_and_stops_nobody() {
    by_hand_and_on(&by_hand()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_that_bullmq_would_never_write_ends_with_a_reason_and_stops_nobody() {
    by_hand_and_on(&bookkeeping_by_hand()).await;
}

/// Alone: next to a job for BullMQ's own loop, that loop may take them, and its scripts stop halfway
/// at such a parent (docs/bullmq.md).
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_parent_is_no_reason_to_lose_a_job() {
    by_hand_and_on(&parents_by_hand()).await;
}

/// These jobs end as they should, and then it goes on as if nothing had been.
async fn by_hand_and_on(jobs: &[Odd]) {
    for mode in MODES {
        let mut bench = Bench::start(mode).await;
        let outcome = bench.round(jobs).await;
        let good = [Odd::plain(
            "track",
            br#"{"userId":"u","data":{"name":"n"}}"#,
        )];
        let after = bench.round(&good).await;
        assert_eq!(outcome.map_err(|error| println!("{mode}: {error}")), Ok(()));
        assert_eq!(after, Ok(()), "{mode}");
    }
}

#[test]
fn jobs_of_any_bytes_end_with_a_reason_and_stop_nobody() {
    MODES.into_iter().for_each(any_bytes_by);
}

fn any_bytes_by(mode: &str) {
    let runtime = Runtime::new().expect("a runtime");
    let mut bench = runtime.block_on(Bench::start(mode));
    // No search for a smaller case: what is said names the job.
    let config = Config {
        cases: ROUNDS,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    };
    let bench = std::cell::RefCell::new(&mut bench);
    let outcome = TestRunner::new(config).run(&vec(odd(), JOBS), |jobs| {
        let outcome = runtime.block_on(bench.borrow_mut().round(&jobs));
        outcome.map_err(|error| {
            println!("{error}");
            TestCaseError::fail("see above")
        })
    });
    assert!(outcome.is_ok(), "{mode}: a job was not where it belongs");
}
