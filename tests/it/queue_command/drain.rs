//! `drain`.

use serde_json::json;

use super::scene::Scene;
use crate::interop::MAJORS;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_gone_and_the_rest_stays() {
    for package in MAJORS {
        for paused in [false, true] {
            let mut scene = Scene::new(package).await;
            let failed = scene.add_failed(2).await;
            scene.add(1_700, json!({})).await;
            scene.add(3, json!({"priority": 2})).await;
            scene.add(4, json!({"delay": 3_600_000})).await;
            if paused {
                scene.peer.call("queue.pause", json!([])).await;
                scene.add(5, json!({})).await;
            }
            let removed = if paused { 1_708 } else { 1_703 };
            assert_eq!(
                scene.json(&["drain", "--yes"]),
                json!({"removed": removed, "kept": 0})
            );
            assert_eq!(scene.count("delayed").await, 4, "{package}");
            assert_eq!(scene.json(&["drain", "--delayed", "--yes"])["removed"], 4);
            for state in ["waiting", "prioritized", "delayed"] {
                assert_eq!(scene.count(state).await, 0, "{package} {state}");
            }
            assert_eq!(scene.count("failed").await, 2, "{package}");
            let keys = scene.keys().await;
            let is_job = |key: &&String| key["bull:cio-events:".len()..].parse::<u64>().is_ok();
            assert_eq!(
                keys.iter().filter(is_job).count(),
                failed.len(),
                "{package} {keys:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_flows_and_schedulers_stay_and_a_deduplication_ends() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let child = json!({"name": "child", "queueName": "cio-events"});
        let flow = json!({"name": "parent", "queueName": "cio-events", "children": [child]});
        scene.add(3, json!({})).await;
        scene.peer.call("flows.add", json!([flow])).await;
        scene.add(3, json!({})).await;
        scene.add(1, json!({"deduplication": {"id": "once"}})).await;
        let every = json!(["daily", {"every": 86_400_000}, {"name": "track", "data": {}}]);
        scene.peer.call("queue.upsertJobScheduler", every).await;
        let done = scene.json(&["drain", "--delayed", "--yes"]);
        assert_eq!(done, json!({"removed": 7, "kept": 2}), "{package}");
        assert_eq!(
            scene.redis::<u8>("EXISTS", &["de:once"]).await,
            0,
            "{package}"
        );
        let schedulers = scene
            .peer
            .call("queue.getJobSchedulersCount", json!([]))
            .await;
        assert_eq!(schedulers, 1, "{package}");
        scene.peer.call("worker.start", json!([{}])).await;
        // The child, its parent, and the schedule's job where it is due at once.
        scene.until_count("waiting-children", 0).await;
    }
}
