//! `cio enqueue` that ends before the end of its file says how much of it is in the queue.

use std::process::Command;

use super::{Desk, Ran, events};
use crate::support::eventually;
use crate::support::redis::RedisServer;
use crate::worker::bench::QUEUE;

/// As many as there is room for: then it waits.
const ADDED: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_enqueue_says_how_many_jobs_are_in_the_queue() {
    let (ran, kept) = ended(|_, pid| {
        let interrupt = Command::new("kill").args(["-INT", pid]).status();
        assert!(interrupt.unwrap().success());
    })
    .await;
    assert_eq!((ran.code, kept), (Some(1), Some(ADDED)), "{}", ran.errors);
    let said = format!("after {ADDED} jobs, which are in the queue: interrupted");
    assert!(ran.errors.contains(&said), "{}", ran.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_whose_redis_goes_away_says_how_many_jobs_it_had_added() {
    let mut address = String::new();
    let (ran, _) = ended(|server, _| {
        address = server.url();
        server.kill();
    })
    .await;
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let said = format!("after {ADDED} jobs: cannot use Redis at {address}");
    assert!(ran.errors.contains(&said), "{}", ran.errors);
}

/// Ends a run that waits for room; how it ended, and the jobs that are then there.
async fn ended(end: impl FnOnce(&mut RedisServer, &str)) -> (Ran, Option<u64>) {
    let (desk, mut server) = (Desk::new(&[]).await, RedisServer::start());
    let path = desk.write("operations.jsonl", &events(1_000));
    let (url, depth) = (server.url(), ADDED.to_string());
    let arguments = ["enqueue", path.to_str().unwrap(), "--max-depth", &depth];
    let variables = [("REDIS_URL", &*url), ("CIO_QUEUE", QUEUE)];
    let run = desk.command(&arguments, &variables).spawn().unwrap();
    let waiting = format!("bull:{QUEUE}:wait");
    let mut jobs = 0;
    eventually("as many jobs as there is room for", async || {
        jobs = server.ask(&["LLEN", &waiting]).await;
        (jobs == ADDED).then_some(())
    })
    .await;
    end(&mut server, &run.id().to_string());
    let ran = Ran::of(&run.wait_with_output().unwrap());
    let kept = async { server.ask(&["LLEN", &waiting]).await };
    let kept = if ran.errors.contains("interrupted") {
        Some(kept.await)
    } else {
        None
    };
    (ran, kept)
}
