//! Assertions 16 and 17: jobs that are added once.

use std::time::Duration;

use serde_json::json;

use super::PEERS;
use super::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_deduplication_key_is_free_after_we_have_finished_its_job() {
    for package in PEERS {
        for (status, state) in [(200, "completed"), (400, "failed")] {
            let mut scene = Scene::new(package).await;
            scene.receiver.answer(move |_, _| (status, String::new()));
            scene.receiver.take_time(Duration::from_millis(150));
            let options = json!({"deduplication": {"id": "x"}});
            let first = scene.add("a", options.clone()).await;
            let worker = scene.work().await;
            scene.until_requests(1).await;
            assert_eq!(scene.add("b", options.clone()).await, first, "{package}");
            assert_eq!(scene.entries("deduplicated").await.len(), 1, "{package}");
            scene.job_in(&first, state).await;
            assert_eq!(
                scene.redis::<u64>("EXISTS", &["de:x"]).await,
                0,
                "{package}"
            );

            let second = scene.add("c", options).await;
            assert_ne!(second, first, "{package}");
            scene.job_in(&second, state).await;
            assert_eq!(scene.arrived(), ["a", "c"], "{package}");
            worker.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deduplication_key_with_a_time_to_live_outlasts_its_job() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let options = json!({"deduplication": {"id": "x", "ttl": 60_000}});
        let first = scene.add("a", options.clone()).await;
        let worker = scene.work().await;
        scene.job_in(&first, "completed").await;
        let left: i64 = scene.redis("PTTL", &["de:x"]).await;
        assert!((1..=60_000).contains(&left), "{package}: {left}");
        scene.add("b", options).await;
        let other = scene.add("other", json!({})).await;
        scene.job_in(&other, "completed").await;
        assert_eq!(scene.arrived(), ["a", "other"], "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_the_jobs_that_waited_for_a_key_is_added_after_ours() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.take_time(Duration::from_millis(300));
        let options = json!({"deduplication": {"id": "x", "keepLastIfActive": true}});
        scene.add("a", options.clone()).await;
        let worker = scene.work().await;
        scene.until_requests(1).await;
        for event in ["b", "c"] {
            scene.add(event, options.clone()).await;
        }
        scene.until_count("completed", 2).await;
        assert_eq!(scene.arrived(), ["a", "c"], "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_an_id_of_its_own_is_delivered_once_and_a_second_one_is_reported() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        for id in ["order/ü 7", "a:b:c"] {
            let options = json!({"jobId": id});
            assert_eq!(scene.add("a", options.clone()).await, id, "{package}");
            scene.job_in(id, "completed").await;
            assert_eq!(scene.add("b", options).await, id, "{package}");
        }
        let duplicated = scene.entries("duplicated").await;
        assert_eq!(duplicated.len(), 2, "{package}: {duplicated:?}");
        assert_eq!(scene.count("waiting").await, 0, "{package}");
        assert_eq!(scene.arrived(), ["a", "a"], "{package}");
        worker.stop().await;
    }
}
