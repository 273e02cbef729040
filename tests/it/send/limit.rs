//! The limit: of the process, and of all who share a Redis.

use serde_json::Value;

use super::{Desk, Ran, events};
use crate::support::http;
use crate::support::redis::{RedisServer, free_port};

const RATE: &str = "40";

/// The most requests that arrived in any second.
async fn most_in_a_second(desk: &Desk) -> usize {
    let (_, text) = http::get(&format!("{}/_sim/arrivals", desk.url))
        .await
        .unwrap();
    let arrivals: Value = serde_json::from_str(&text).unwrap();
    let mut at: Vec<u64> = arrivals["arrivals_us"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    at.sort_unstable();
    (0..at.len())
        .map(|first| at[first..].partition_point(|time| *time < at[first] + 1_000_000))
        .max()
        .unwrap_or(0)
}

async fn two_senders(variables: &[(&str, &str)]) -> usize {
    let desk = Desk::new(&[]).await;
    let options = ["--mode", "single", "--requests-per-second", RATE];
    let runs = ["a.jsonl", "b.jsonl"].map(|name| {
        let path = desk.write(name, &events(100));
        let arguments = [&["send", path.to_str().unwrap()], &options[..]].concat();
        desk.command(&arguments, variables).spawn().unwrap()
    });
    for run in runs {
        let ran = Ran::of(&run.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.errors);
    }
    most_in_a_second(&desk).await
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_share_the_limit_over_redis_and_only_there() {
    let server = RedisServer::start();
    let shared = two_senders(&[("REDIS_URL", &server.url())]).await;
    // One above it is what a busy machine may add to the way of a request.
    assert!((35..=41).contains(&shared), "{shared}");
    let apart = two_senders(&[]).await;
    assert!((65..=82).contains(&apart), "{apart}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_limit_s_redis_does_not_answer_the_end_says_so() {
    let desk = Desk::new(&[]).await;
    let path = desk.write("operations.jsonl", &events(10));
    let arguments = ["send", path.to_str().unwrap(), "--patience", "3"];
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    let ran = desk.run(&arguments, &[("REDIS_URL", &nobody)]);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    let said = "error: nothing was delivered for 3s: no turn in the workspace's limit: ";
    assert!(ran.errors.contains(said), "{}", ran.errors);
    assert_eq!(desk.count("events").await, 0);
}
