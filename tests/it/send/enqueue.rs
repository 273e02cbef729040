//! `cio enqueue`, read by BullMQ.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Desk, Ran, events};
use crate::interop::peer::Peer;
use crate::support::eventually;
use crate::support::redis::RedisServer;
use crate::worker::bench::QUEUE;

#[tokio::test(flavor = "multi_thread")]
async fn node_reads_the_jobs_in_the_order_of_the_file() {
    for package in ["bullmq5", "bullmq6"] {
        let (desk, server) = (Desk::new(&[]).await, RedisServer::start());
        let mut peer = Peer::start(package, &server.url()).await;
        let path = desk.write("operations.jsonl", &events(1_200));
        let (url, path) = (server.url(), path.to_str().unwrap());
        let ran = desk.run(
            &["enqueue", path],
            &[("REDIS_URL", &url), ("CIO_QUEUE", QUEUE)],
        );
        let expected = json!({"enqueued": 1_200});
        ran.ended(0, &expected);

        let jobs = peer
            .call("queue.getJobs", json!([["waiting"], 0, -1, true]))
            .await;
        let jobs = jobs.as_array().unwrap();
        assert_eq!(jobs.len(), 1_200, "{package}");
        for (n, job) in jobs.iter().enumerate() {
            assert_eq!(job["data"]["data"]["data"]["n"], n, "{package}");
        }
        let job = &jobs[0];
        assert_eq!(
            (&job["name"], &job["data"]["userId"]),
            (&json!("track"), &json!("u0"))
        );
        assert!(job["data"]["enqueuedAt"].is_u64(), "{job}");
        let options = json!({
            "attempts": 5, "backoff": {"type": "exponential", "delay": 2_000},
            "removeOnComplete": {"count": 10_000}, "removeOnFail": {"count": 50_000},
        });
        assert_eq!(job["opts"], options, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_while_the_queue_is_too_long() {
    let (desk, server) = (Desk::new(&[]).await, RedisServer::start());
    let mut peer = Peer::start("bullmq6", &server.url()).await;
    let path = desk.write("operations.jsonl", &events(1_000));
    let (url, path) = (server.url(), path.to_str().unwrap());
    let arguments = ["enqueue", path, "--max-depth", "300"];
    let variables = [("REDIS_URL", &*url), ("CIO_QUEUE", QUEUE)];
    let mut run = desk.command(&arguments, &variables).spawn().unwrap();
    eventually("300 jobs", async || {
        (waiting(&mut peer).await == 300).then_some(())
    })
    .await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(waiting(&mut peer).await, 300);
    assert!(run.try_wait().unwrap().is_none());
    peer.call("worker.start", json!([{"concurrency": 50}]))
        .await;
    let ran = Ran::of(&run.wait_with_output().unwrap());
    assert_eq!(
        (ran.code, ran.result),
        (Some(0), json!({"enqueued": 1_000}))
    );
}

async fn waiting(peer: &mut Peer) -> u64 {
    let counts: Value = peer.call("queue.getJobCounts", json!(["waiting"])).await;
    counts["waiting"].as_u64().unwrap()
}
