//! Assertion 22: jobs of flows and of schedulers.

use std::time::Duration;

use serde_json::{Value, json};

use super::PEERS;
use super::scene::{Scene, array, data};
use crate::support::eventually;
use crate::worker::bench::QUEUE;
use crate::worker::receiver::refuse;

/// A parent in a queue of BullMQ's with a child in ours; the parent's id.
async fn flow(scene: &mut Scene, options: Value) -> String {
    let child =
        json!({"name": "track", "queueName": QUEUE, "data": data("child"), "opts": options});
    let flow = json!({"name": "parent", "queueName": "parents", "children": [child]});
    let parent = scene.peer.call("flows.add", json!([flow])).await;
    parent["id"].as_str().unwrap().to_owned()
}

async fn start_parents(scene: &mut Scene) {
    scene
        .peer
        .call("worker.start", json!([{}, {}, "parents"]))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_goes_on_when_we_have_delivered_its_child() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        start_parents(&mut scene).await;
        let parent = flow(&mut scene, json!({})).await;
        assert!(scene.runs().await.is_empty(), "{package}");
        let worker = scene.work().await;
        let runs = eventually("the parent", async || {
            let runs = scene.runs().await;
            (!runs.is_empty()).then_some(runs)
        })
        .await;
        assert_eq!(
            (&runs[0]["id"], &runs[0]["queue"]),
            (&json!(parent), &json!("parents")),
            "{package}"
        );
        let children = runs[0]["children"].as_object().unwrap();
        let values: Vec<_> = children.iter().collect();
        assert_eq!(values.len(), 1, "{package}");
        assert!(
            values[0].0.starts_with(&format!("bull:{QUEUE}:")),
            "{package}"
        );
        assert_eq!(values[0].1, &Value::Null, "{package}");
        assert_eq!(scene.arrived(), ["child"], "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_fails_or_goes_on_as_its_child_says_that_failed_with_us() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| refuse("no"));
        start_parents(&mut scene).await;
        let worker = scene.work().await;
        for (option, set) in [
            ("failParentOnFailure", "failed"),
            ("continueParentOnFailure", "completed"),
            ("ignoreDependencyOnFailure", "completed"),
            ("removeDependencyOnFailure", "completed"),
        ] {
            let case = format!("{package} {option}");
            let parent = flow(&mut scene, json!({ option: true })).await;
            let key = format!("bull:parents:{set}");
            eventually(&case, async || scene.score(&key, &parent).await).await;
            let runs = scene.runs().await;
            let has_run = runs.iter().any(|run| run["id"] == parent.as_str());
            assert_eq!(has_run, set == "completed", "{case}");
        }
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_goes_on_while_we_take_its_jobs() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        schedule(&mut scene, 200).await;
        scene.until_requests(4).await;
        scene
            .peer
            .call("queue.removeJobScheduler", json!(["tick"]))
            .await;
        let completed = array(scene.peer.call("queue.getCompleted", json!([])).await);
        let ids: Vec<_> = completed
            .iter()
            .filter_map(|job| job["id"].as_str())
            .collect();
        assert!(
            ids.iter().all(|id| id.starts_with("repeat:tick:")),
            "{package}: {ids:?}"
        );
        let mut times: Vec<u64> = ids.iter().map(|id| id[12..].parse().unwrap()).collect();
        times.sort_unstable();
        assert!(
            times.windows(2).all(|it| (it[1] - it[0]) % 200 == 0),
            "{package}: {times:?}"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the crate makes it when the job has been delivered: docs/bullmq.md"]
async fn a_scheduler_s_next_job_is_there_while_we_are_at_one() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.take_time(Duration::from_secs(2));
        schedule(&mut scene, 60_000).await;
        let worker = scene.work().await;
        scene.until_requests(1).await;
        assert_eq!(scene.count("active").await, 1, "{package}");
        scene.until_count("delayed", 1).await;
        assert_eq!(
            scene.count("active").await,
            1,
            "{package}: it was made too late"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_s_job_that_fails_with_us_does_not_end_it() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| refuse("no"));
        let worker = scene.work().await;
        schedule(&mut scene, 200).await;
        scene.until_requests(3).await;
        let schedulers = array(scene.peer.call("queue.getJobSchedulers", json!([])).await);
        assert_eq!(schedulers.len(), 1, "{package}");
        worker.stop().await;
    }
}

async fn schedule(scene: &mut Scene, every_ms: u64) {
    let template = json!({"name": "track", "data": data("tick")});
    let arguments = json!(["tick", {"every": every_ms}, template]);
    scene.peer.call("queue.upsertJobScheduler", arguments).await;
}
