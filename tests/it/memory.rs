//! How much memory `cio worker` takes under a backlog, as the kernel counts it: the peak.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::eventually;
use crate::support::memory::peak_kib;
use crate::support::process::Cio;
use crate::support::redis::RedisServer;
use crate::support::simulator::SimulatorProcess;
use crate::worker::bench::{QUEUE, add, counts, queue};

/// How long each worker is looked at, at 80 requests a second.
const LOOK: Duration = Duration::from_secs(12);

/// A backlog: how many jobs, each one's data, and how much memory may be taken in delivering it.
struct Backlog {
    jobs: usize,
    job: fn(usize) -> (String, Value),
    /// So many of these jobs are refused, one in so many; none: 0.
    refused_every: u64,
    most_mib: u64,
}

/// The issue's first one: data of 1 KB.
const SMALL: Backlog = Backlog {
    jobs: 100_000,
    job: small,
    refused_every: 0,
    most_mib: 64,
};

/// The issue's second one: data of 100 KB. That is the most an event may carry (100,000 bytes), so
/// that each goes alone, by a v1 call; and one in ten is larger, and is to be refused.
const LARGE: Backlog = Backlog {
    jobs: 1_000,
    job: large,
    refused_every: 10,
    most_mib: 256,
};

fn small(number: usize) -> (String, Value) {
    event(number, 1_000)
}

fn large(number: usize) -> (String, Value) {
    // `{"text":""}` is part of the 100,000 bytes that are allowed.
    let allowed = 100_000 - r#"{"text":""}"#.len();
    event(
        number,
        if number.is_multiple_of(10) {
            120_000
        } else {
            allowed
        },
    )
}

fn event(number: usize, bytes: usize) -> (String, Value) {
    let body = json!({"name": "sized", "data": {"text": "x".repeat(bytes)}});
    let user = format!("user-{number}");
    let data = json!({"userId": user, "data": body, "enqueuedAt": 1_700_000_000_000_u64});
    ("track".to_owned(), data)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: make test-soak"]
async fn a_hundred_thousand_small_jobs_fit_in_64_mib() {
    stays_within(&SMALL, &["single", "batch"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: make test-soak"]
async fn a_thousand_large_jobs_fit_in_256_mib() {
    stays_within(&LARGE, &["single", "batch"]).await;
}

async fn stays_within(backlog: &Backlog, modes: &[&str]) {
    for mode in modes {
        let server = RedisServer::start();
        let queue = queue(&server).await;
        // By the hundred: the test needs no more memory than what it tests.
        for from in (0..backlog.jobs).step_by(100) {
            add(&queue, (from..from + 100).map(backlog.job)).await;
        }
        let simulator = SimulatorProcess::start(&[]).await;
        let (url, metrics) = (server.url(), ("CIO_METRICS_PORT", "0"));
        let variables = [
            ("REDIS_URL", url.as_str()),
            ("CIO_QUEUE", QUEUE),
            ("CUSTOMERIO_SITE_ID", "site"),
            ("CUSTOMERIO_TRACK_API_KEY", "key"),
            ("CUSTOMERIO_TRACK_URL", &simulator.url),
            ("CIO_DELIVERY_MODE", mode),
            ("CIO_LOG", "error"),
            metrics,
        ];
        let worker = Cio::start(&["worker"], &variables);
        eventually("the first event", async || {
            let state = simulator.state().await;
            (state["events"].as_u64() > Some(0)).then_some(())
        })
        .await;
        sleep(LOOK).await;
        let peak = peak_kib(worker.pid()).expect("a running worker");
        let (waiting, active, completed, failed) = counts(&queue).await;
        println!(
            "{} jobs, {mode}: peak {:.1} MiB; {waiting} waiting, {active} active, \
             {completed} completed, {failed} failed",
            backlog.jobs,
            f64::from(u32::try_from(peak).expect("a small number")) / 1024.0
        );
        assert!(peak < backlog.most_mib * 1024, "{mode}: {peak} KiB");
        let refused = (completed + failed).checked_div(backlog.refused_every);
        let refused = refused.unwrap_or(0);
        assert!(
            failed.abs_diff(refused) <= 20,
            "{mode}: {failed} failed of {completed}"
        );
        assert!(completed > 0);
        let (code, _) = worker.terminate();
        assert_eq!(code, Some(0), "{mode}");
    }
}
