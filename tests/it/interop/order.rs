//! Assertion 13: which job is taken next.

use serde_json::json;

use super::PEERS;
use super::scene::{Scene, number};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_taken_in_bullmqs_order() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        for (event, options) in [
            ("low", json!({"priority": 2_000_000})),
            ("first", json!({})),
            ("high", json!({"priority": 1})),
            ("second", json!({})),
            ("lifo", json!({"lifo": true})),
            ("later lifo", json!({"lifo": true})),
            ("high, later", json!({"priority": 1})),
            ("middle", json!({"priority": 5})),
        ] {
            scene.add(event, options).await;
        }
        let worker = scene.work_singly().await;
        scene.until_count("completed", 8).await;
        let expected = [
            "later lifo",
            "lifo",
            "first",
            "second",
            "high",
            "high, later",
            "middle",
            "low",
        ];
        assert_eq!(scene.arrived(), expected, "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_jobs_come_in_the_order_in_which_they_are_due_and_by_their_priority() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        // All are due when the worker comes, however long it takes to add them.
        let added = 1_700_000_000_000_u64;
        for (event, options) in [
            ("later", json!({"delay": 400, "timestamp": added})),
            (
                "low",
                json!({"delay": 1, "timestamp": added, "priority": 5}),
            ),
            ("sooner", json!({"delay": 100, "timestamp": added})),
            (
                "high",
                json!({"delay": 400, "timestamp": added, "priority": 1}),
            ),
        ] {
            scene.add(event, options).await;
        }
        let worker = scene.work_singly().await;
        scene.until_count("completed", 4).await;
        assert_eq!(
            scene.arrived(),
            ["sooner", "later", "high", "low"],
            "{package}"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_job_comes_when_it_is_due() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        let later = scene.add("later", json!({"delay": 700})).await;
        let sooner = scene.add("sooner", json!({"delay": 300})).await;
        for (id, delay) in [(&sooner, 300), (&later, 700)] {
            let job = scene.job_in(id, "completed").await;
            let waited = number(&job["processedOn"]) - number(&job["timestamp"]);
            // The other end is wide for a busy machine; a poll would be a second.
            assert!(
                (delay..delay + 600).contains(&waited),
                "{package}: {waited} for {delay}"
            );
            assert_eq!(job["delay"], 0, "{package}");
        }
        let waiting = scene.entries("waiting").await;
        assert!(
            waiting.iter().all(|it| it["prev"] == "delayed"),
            "{package}: {waiting:?}"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_s_jobs_arrive_in_their_order_however_many_are_taken_at_once() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let jobs: Vec<_> = (0..300)
            .map(|n| {
                let body = json!({"name": format!("{n}")});
                json!({"name": "track", "data": {"userId": "one", "data": body}})
            })
            .collect();
        scene.peer.call("queue.addBulk", json!([jobs])).await;
        let worker = scene.work().await;
        scene.until_count("completed", 300).await;
        let expected: Vec<_> = (0..300).map(|n| n.to_string()).collect();
        assert_eq!(scene.arrived(), expected, "{package}");
        worker.stop().await;
    }
}
