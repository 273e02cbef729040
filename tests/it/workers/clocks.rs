//! Workers on machines whose clocks are hours apart: what is due, and how much may be sent, is the same for
//! all of them, by Redis' clock.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bullmq::{BulkJob, JobOptions};
use serde_json::json;
use tempfile::TempDir;

use super::Fleet;
use crate::support::eventually;
use crate::worker::bench::{QUEUE, add, all_finished, counts, many, track};

const RATE: usize = 100;
const JOBS: usize = 300;
/// How wrong each clock is. A job for a moment between them is due for the one and not for the other.
const OFFSETS: [i32; 2] = [7_200, -7_200];
const HOUR_MS: u64 = 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn workers_whose_clocks_differ_agree_on_what_is_due_and_on_the_limit() {
    // Some attempts fail: when the next one is due is a worker's to write down.
    let mut fleet = Fleet::new(&["--fault", r#"{"status": 404, "times": 20}"#]).await;
    let queue = fleet.queue(QUEUE).await;
    let (name, data) = track("later", "later", &json!({}));
    let later = JobOptions {
        delay: Some(HOUR_MS),
        ..JobOptions::default()
    };
    let later = queue.add_bulk(vec![BulkJob::with_options(name, data, later)]);
    later.await.expect("a job for later");
    let (library, _folder) = clock();
    let (library, rate) = (library.to_string_lossy(), RATE.to_string());
    let before = redis_ms(&fleet).await;
    for offset in OFFSETS {
        let offset = offset.to_string();
        let variables = [
            ("LD_PRELOAD", library.as_ref()),
            ("CLOCK_OFFSET_SECONDS", offset.as_str()),
            ("CIO_REQUESTS_PER_SECOND", rate.as_str()),
        ];
        fleet.work(&variables).await;
    }
    let mut added = 0;
    eventually("both to send", async || {
        add(&queue, many(JOBS, JOBS)).await;
        added += JOBS as u64;
        all_but_the_later_one(&queue, added).await;
        let sent = fleet.accepted().await;
        sent.iter().all(|sent| *sent > 0).then_some(())
    })
    .await;

    assert_eq!(counts(&queue).await, (1, 0, added, 0));
    assert_eq!(fleet.simulator.answers(404).await, 20);
    let state = fleet.simulator.state().await;
    assert_eq!(
        (&state["events"], &state["duplicates"]),
        (&json!(added), &json!(0))
    );
    finished_between(&fleet, before, redis_ms(&fleet).await).await;
    clocks_are_wrong(&fleet, redis_ms(&fleet).await).await;
    spread_by_one_limit(&fleet).await;
    fleet.end();
}

async fn all_but_the_later_one(queue: &bullmq::Queue, jobs: u64) {
    assert_eq!(all_finished(queue, jobs).await, (jobs, 0));
}

/// The library to load, and the folder that it is in.
fn clock() -> (PathBuf, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/workers/clock.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(compiled.expect("a C compiler: run `make setup`").success());
    (library, folder)
}

async fn redis_ms(fleet: &Fleet) -> u64 {
    let (seconds, micros): (u64, u64) = fleet.server.ask(&["TIME"]).await;
    seconds * 1_000 + micros / 1_000
}

/// What the workers wrote down of each job's start and end is within this time.
async fn finished_between(fleet: &Fleet, before: u64, after: u64) {
    let completed = format!("bull:{QUEUE}:completed");
    let ids: Vec<String> = fleet.server.ask(&["ZRANGE", &completed, "0", "-1"]).await;
    for id in ids {
        let key = format!("bull:{QUEUE}:{id}");
        let times: [u64; 2] = fleet
            .server
            .ask(&["HMGET", &key, "processedOn", "finishedOn"])
            .await;
        for time in times {
            assert!(
                (before..=after).contains(&time),
                "{id}: {time} not {before}..{after}"
            );
        }
    }
}

/// Else nothing is shown by all this: each worker's own clock is as wrong as it was set.
async fn clocks_are_wrong(fleet: &Fleet, now_ms: u64) {
    for (worker, offset) in OFFSETS.into_iter().enumerate() {
        let page = fleet.metrics(worker).await;
        let answered = page["cio_delivery_answered_timestamp_seconds"];
        let off = answered - Duration::from_millis(now_ms).as_secs_f64();
        assert!(
            (off - f64::from(offset)).abs() < 600.0,
            "{off} for {offset}"
        );
    }
}

/// As many requests in the least time that they need under one limit, or more.
async fn spread_by_one_limit(fleet: &Fleet) {
    let arrivals = fleet.simulator.arrivals().await;
    for judged in arrivals.windows(2 * RATE) {
        let took = judged[judged.len() - 1] - judged[0];
        assert!(took >= 1_700_000, "{} requests in {took} us", judged.len());
    }
    assert!(fleet.limit::<u64>("granted").await.is_some());
}
