//! The rate after an answer 429, as it is kept in Redis and as each worker knows it.

use cio_operator::delivery::client::Region;
use cio_operator::delivery::limiter::limit_key;
use serde_json::json;

use super::{Fleet, SITE};
use crate::support::eventually;
use crate::worker::bench::{QUEUE, add, counts, many};

const RATE: u32 = 50;
const JOBS: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_429_the_rate_falls_for_everyone_and_recovers_step_by_step() {
    let mut fleet = Fleet::new(&[]).await;
    let queue = fleet.queue(QUEUE).await;
    add(&queue, many(JOBS, JOBS)).await;
    let rate = RATE.to_string();
    for _ in 0..2 {
        fleet.work(&[("CIO_REQUESTS_PER_SECOND", &rate)]).await;
    }
    all_know(&fleet, 1.0).await;
    let once = json!([{"status": 429, "times": 1}]);
    fleet.simulator.faults(&once).await;
    all_know(&fleet, 0.7).await;
    for factor in [0.8, 0.9, 1.0] {
        // As if that change had been long ago: a step up takes seconds.
        let key = limit_key(Region::Us, SITE);
        let aged = ["HSET", &key, "changed", "1"];
        fleet.server.ask::<()>(&aged).await;
        all_know(&fleet, factor).await;
    }
    assert_eq!(fleet.simulator.answers(429).await, 1);
    fleet.end();
    let (waiting, active, completed, failed) = counts(&queue).await;
    assert_eq!((active, failed, waiting + completed), (0, 0, JOBS as u64));
    assert!(waiting > 0, "there was no backlog to the end");
}

/// Waits until so much of the rate is left, in Redis and for each worker.
async fn all_know(fleet: &Fleet, factor: f64) {
    let near = |found: f64, expected: f64| (found - expected).abs() < 0.01;
    eventually(&format!("a factor of {factor}"), async || {
        // It is written down when it changes.
        let kept: Option<f64> = fleet.limit("factor").await;
        near(kept.unwrap_or(1.0), factor).then_some(())
    })
    .await;
    for worker in 0..fleet.workers.len() {
        eventually(&format!("{factor} of the rate"), async || {
            let page = fleet.metrics(worker).await;
            let known = page["cio_limit_requests_per_second"];
            near(known, f64::from(RATE) * factor).then_some(())
        })
        .await;
    }
}
