//! Assertion 10: a queue that either major pauses and resumes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::PEERS;
use super::scene::Scene;

/// Longer than a worker that took something would need to show it.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_while_paused_and_nothing_is_lost() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        let first = scene.add("first", json!({})).await;
        scene.job_in(&first, "completed").await;
        for round in 0..2 {
            scene.peer.call("queue.pause", json!([])).await;
            for n in 0..5 {
                let options = match n {
                    0 => json!({"priority": 3}),
                    1 => json!({"delay": 50}),
                    2 => json!({"lifo": true}),
                    _ => json!({}),
                };
                scene.add(&format!("{round}-{n}"), options).await;
            }
            let before = scene.receiver.count();
            sleep(A_WHILE).await;
            assert_eq!(scene.receiver.count(), before, "{package}");
            scene.peer.call("queue.resume", json!([])).await;
            scene.until_count("completed", 1 + 5 * (round + 1)).await;
        }
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_back_while_bullmq_6_pauses_comes_again_after_the_pause() {
    all_go_back_while_paused("bullmq6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_back_while_bullmq_5_pauses_comes_again_after_the_pause() {
    all_go_back_while_paused("bullmq5").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_back_while_python_pauses_comes_again_after_the_pause() {
    all_go_back_while_paused("python").await;
}

async fn all_go_back_while_paused(package: &str) {
    // Behind the others; aside for a moment; before the others; by its priority.
    for options in [
        json!({"attempts": 2}),
        json!({"attempts": 2, "backoff": 50}),
        json!({"attempts": 2, "lifo": true}),
        json!({"attempts": 2, "priority": 7}),
    ] {
        let mut scene = Scene::new(package).await;
        goes_back_while_paused(&mut scene, &options).await;
    }
}

async fn goes_back_while_paused(scene: &mut Scene, options: &Value) {
    fail_each_once(scene);
    scene.receiver.take_time(Duration::from_millis(200));
    scene.add("in flight", options.clone()).await;
    let worker = scene.work().await;
    scene.until_requests(1).await;
    // The queue is empty now, and BullMQ 5 has nothing to rename.
    scene.peer.call("queue.pause", json!([])).await;
    sleep(2 * A_WHILE).await;
    assert_eq!(scene.receiver.count(), 1, "{options}");
    scene.receiver.take_time(Duration::ZERO);
    for n in 0..3 {
        let options = json!({"attempts": 2});
        scene.add(&format!("while paused {n}"), options).await;
    }
    scene.peer.call("queue.resume", json!([])).await;
    scene.until_count("completed", 4).await;
    assert_eq!(scene.receiver.count(), 8, "{options}");
    worker.stop().await;
}

fn fail_each_once(scene: &Scene) {
    let mut seen: Vec<Value> = Vec::new();
    scene.receiver.answer(move |_, body| {
        let name = &body["name"];
        if seen.contains(name) {
            return (200, String::new());
        }
        seen.push(name.clone());
        (404, "once".to_owned())
    });
}
