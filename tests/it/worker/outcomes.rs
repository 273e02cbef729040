//! What becomes of jobs for each class of answer, with the built worker and simulator. `faults` and
//! `circuit` have the classes that need more than a rule of the simulator.

use std::path::Path;
use std::time::Duration;

use bullmq::Queue;
use serde_json::{Value, json};

use super::bench::{QUEUE, add, counts, many, queue};
use super::faults::failures;
use crate::support::process::Cio;
use crate::support::redis::RedisServer;
use crate::support::simulator::SimulatorProcess;
use crate::support::{eventually, eventually_within};

const JOBS: usize = 20;
const MODES: [&str; 2] = ["batch", "single"];
/// Longer than three requests are waited for, one after the other.
const PATIENCE: Duration = Duration::from_mins(1);

/// A worker, with what it works on.
struct Case {
    server: RedisServer,
    simulator: SimulatorProcess,
    queue: Queue,
    worker: Option<Cio>,
}

impl Case {
    /// Jobs of as many users, before these faults.
    async fn start(mode: &str, jobs: usize, faults: &Value) -> Self {
        let mut case = Self::prepare(&["--credentials", "site:key"], jobs, faults).await;
        let credentials = [
            ("CUSTOMERIO_SITE_ID", "site"),
            ("CUSTOMERIO_TRACK_API_KEY", "key"),
        ];
        case.work(mode, &credentials);
        case
    }

    async fn prepare(simulator: &[&str], jobs: usize, faults: &Value) -> Self {
        let (server, simulator) = (
            RedisServer::start(),
            SimulatorProcess::start(simulator).await,
        );
        simulator.faults(faults).await;
        let queue = queue(&server).await;
        add(&queue, many(jobs, jobs)).await;
        Self {
            server,
            simulator,
            queue,
            worker: None,
        }
    }

    fn work(&mut self, mode: &str, also: &[(&str, &str)]) {
        let url = self.server.url();
        let settings = [
            ("REDIS_URL", url.as_str()),
            ("CIO_QUEUE", QUEUE),
            ("CUSTOMERIO_TRACK_URL", self.simulator.url.as_str()),
            ("CIO_DELIVERY_MODE", mode),
            ("CIO_METRICS_PORT", "0"),
        ];
        self.worker = Some(Cio::start(&["worker"], &[&settings, also].concat()));
    }

    /// Waits until `jobs` are finished; how many are completed and failed.
    async fn finished(&self, jobs: usize) -> (u64, u64) {
        eventually_within(PATIENCE, "all jobs to be finished", async || {
            let (_, _, completed, failed) = counts(&self.queue).await;
            (completed + failed == jobs as u64).then_some((completed, failed))
        })
        .await
    }

    /// Waits until every job is delivered, at its first attempt, and every event taken once; then
    /// how many came again, and what the worker logged.
    async fn all_delivered(mut self, mode: &str) -> (u64, String) {
        assert_eq!(
            self.finished(JOBS).await,
            (JOBS as u64, 0),
            "{mode}: {:?}",
            failures(&self.queue).await
        );
        let completed = self
            .queue
            .get_completed(0, -1)
            .await
            .expect("completed jobs");
        let attempts: Vec<_> = completed.iter().map(bullmq::Job::attempts_made).collect();
        assert_eq!(attempts, [1; JOBS], "{mode}");
        let state = self.simulator.state().await;
        assert_eq!(state["events"], json!(JOBS), "{mode}");
        let (code, log) = self.worker.take().expect("a worker").terminate();
        assert_eq!(code, Some(0), "{log}");
        (state["duplicates"].as_u64().expect("a number"), log)
    }

    /// Waits for some answers with `status`: nothing may have failed or been delivered by then.
    async fn held(&self, status: u16) {
        eventually("some refusals", async || {
            (self.simulator.answers(status).await >= 3).then_some(())
        })
        .await;
        let (waiting, active, completed, failed) = counts(&self.queue).await;
        assert_eq!((waiting + active, completed, failed), (JOBS as u64, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_is_asked_again_and_each_event_is_taken_once() {
    let hang = async |mode, times| {
        let case = Case::start(mode, JOBS, &json!([{"fault": "hang", "times": times}])).await;
        assert_eq!(case.all_delivered(mode).await.0, 0, "{mode}");
    };
    // At the same time: each waits out the client's patience.
    tokio::join!(hang("batch", 1), hang("single", 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_off_before_the_request_is_taken_costs_nothing() {
    for mode in MODES {
        let case = Case::start(mode, JOBS, &json!([{"fault": "reset_before", "times": 3}])).await;
        assert_eq!(case.all_delivered(mode).await.0, 0, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_off_after_the_request_is_taken_leads_to_events_that_are_recognised()
 {
    for (mode, times, most) in [("batch", 2, 2 * JOBS as u64), ("single", 3, 3)] {
        let case = Case::start(
            mode,
            JOBS,
            &json!([{"fault": "reset_after", "times": times}]),
        )
        .await;
        let (again, _) = case.all_delivered(mode).await;
        assert!((1..=most).contains(&again), "{mode}: {again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_that_is_taken_in_part_one_item_alone_fails() {
    let case = Case::start("batch", JOBS, &json!([{"status": 207, "times": 1}])).await;
    assert_eq!(case.finished(JOBS).await, (JOBS as u64 - 1, 1));
    let sentence = "Customer.io answered 207: item: item refused by a fault of the simulator";
    assert_eq!(failures(&case.queue).await, [(sentence.to_owned(), 1)]);
    assert_eq!(case.simulator.state().await["events"], json!(JOBS - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_jobs_wait_for_the_region_to_be_put_right() {
    for mode in MODES {
        let elsewhere = json!([{"status": 307, "location": "http://127.0.0.1:9"}]);
        let case = Case::start(mode, JOBS, &elsewhere).await;
        case.held(307).await;
        case.simulator.faults(&json!([])).await;
        let (_, log) = case.all_delivered(mode).await;
        assert!(log.contains("CUSTOMERIO_REGION"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_is_split_and_a_call_that_is_too_large_is_refused() {
    let too_large = json!([{"status": 413, "times": 1}]);
    let case = Case::start("batch", JOBS, &too_large).await;
    assert_eq!(case.all_delivered("batch").await.0, 0);

    let case = Case::start("single", JOBS, &too_large).await;
    assert_eq!(case.finished(JOBS).await, (JOBS as u64 - 1, 1));
    let failures = failures(&case.queue).await;
    assert!(
        failures[0].0.starts_with("Customer.io answered 413"),
        "{failures:?}"
    );
    assert_eq!(failures[0].1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_rotated_in_its_file_ends_the_refusals_of_a_running_worker() {
    for mode in MODES {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "siteId", "site");
        write(folder.path(), "apiKey", "old");
        let path = folder.path().to_str().expect("a path").to_owned();
        let mut case = Case::prepare(&["--credentials", "site:new"], JOBS, &json!([])).await;
        case.work(mode, &[("CUSTOMERIO_CREDENTIALS_DIR", &path)]);
        case.held(401).await;
        write(folder.path(), "apiKey", "new");
        let (_, log) = case.all_delivered(mode).await;
        assert!(log.contains("CUSTOMERIO_TRACK_API_KEY"), "{log}");
        assert!(!log.contains("old"), "{log}");
    }
}

/// In one step, as a kubelet does.
fn write(folder: &Path, name: &str, text: &str) {
    let new = folder.join(".new");
    std::fs::write(&new, text).expect("to write");
    std::fs::rename(new, folder.join(name)).expect("to rename");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_asked_again_after_as_long_as_it_says() {
    for mode in MODES {
        let throttled = json!([{"status": 429, "retry_after_seconds": 2, "times": 1}]);
        let case = Case::start(mode, 1, &throttled).await;
        assert_eq!(case.finished(1).await, (1, 0), "{mode}");
        let arrivals = case.simulator.arrivals().await;
        assert_eq!(arrivals.len(), 2, "{mode}");
        // A millisecond less: it is counted from the arrival of the request, not of the answer.
        assert!(
            arrivals[1] - arrivals[0] >= 1_999_000,
            "{mode}: {arrivals:?}"
        );
        assert_eq!(case.simulator.answers(429).await, 1, "{mode}");
    }
}
