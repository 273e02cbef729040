//! Assertions 14 and 15: limits that the queue has for all its workers together.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::PEERS;
use super::scene::{Scene, array, data, number};
use crate::support::eventually;

async fn add_many(scene: &mut Scene, count: usize) {
    let jobs: Vec<Value> = (0..count)
        .map(|n| json!({"name": "track", "data": data(&format!("{n}"))}))
        .collect();
    scene.peer.call("queue.addBulk", json!([jobs])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_of_the_queue_holds_for_us_and_bullmq_together() {
    const MOST: usize = 8;
    const WINDOW_MS: u64 = 400;
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let limit = json!([MOST, WINDOW_MS]);
        scene.peer.call("queue.setGlobalRateLimit", limit).await;
        add_many(&mut scene, 5 * MOST).await;
        scene.peer_works(json!({"ms": 20})).await;
        let worker = scene.work().await;
        scene.until_count("completed", 5 * MOST as u64).await;

        let jobs = array(scene.peer.call("queue.getCompleted", json!([])).await);
        let mut starts: Vec<_> = jobs.iter().map(|job| number(&job["processedOn"])).collect();
        starts.sort_unstable();
        // The fifth window begins four after the first. A start is noted before the script runs that
        // counts it, up to half a window on a busy machine; with a limit each it would be two windows.
        let took = starts[4 * MOST] - starts[0];
        assert!(
            took >= 4 * WINDOW_MS - WINDOW_MS / 2,
            "{package}: {starts:?}"
        );
        let ours = scene.receiver.count();
        assert!(ours > 0 && ours < 5 * MOST, "{package}: {ours} were ours");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_rate_limited_by_hand_rests_as_long() {
    const REST_MS: u64 = 800;
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let wide = json!([1_000, 1_000]);
        scene.peer.call("queue.setGlobalRateLimit", wide).await;
        let worker = scene.work().await;
        let first = scene.add("before", json!({})).await;
        scene.job_in(&first, "completed").await;
        scene.peer.call("queue.rateLimit", json!([REST_MS])).await;
        let id = scene.add("after", json!({})).await;
        let job = scene.job_in(&id, "completed").await;
        let waited = number(&job["processedOn"]) - number(&job["timestamp"]);
        assert!(
            (REST_MS - 200..REST_MS + 1_500).contains(&waited),
            "{package}: {waited}"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concurrency_of_the_queue_holds_for_us_and_bullmq_together() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.take_time(Duration::from_millis(30));
        scene
            .peer
            .call("queue.setGlobalConcurrency", json!([3]))
            .await;
        add_many(&mut scene, 40).await;
        let behaviour = json!({"ms": 30});
        scene.peer_works(behaviour).await;
        let worker = scene.work().await;
        let mut most = 0;
        eventually("all to be completed", async || {
            for _ in 0..10 {
                most = most.max(scene.redis::<u64>("LLEN", &["active"]).await);
                sleep(Duration::from_millis(2)).await;
            }
            (scene.count("completed").await == 40).then_some(())
        })
        .await;
        assert_eq!(most, 3, "{package}");
        let ours = scene.receiver.count();
        assert!(ours > 0 && ours < 40, "{package}: {ours} were ours");
        worker.stop().await;
    }
}
