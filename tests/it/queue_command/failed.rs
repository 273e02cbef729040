//! `failed` and `retry`.

use serde_json::{Value, json};

use super::scene::{Scene, text};
use crate::interop::MAJORS;

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_grouped_and_come_back_by_reason_in_their_order() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let ids = scene.add_failed(9).await;
        let others: Vec<_> = ids.iter().step_by(3).cloned().collect();
        for id in &others {
            scene
                .redis::<()>(
                    "HSET",
                    &[
                        id,
                        "failedReason",
                        "rejected: name: must not be blank",
                        "defa",
                        "stalled",
                    ],
                )
                .await;
        }
        let groups = scene.json(&["failed", "--show-data"]);
        assert_eq!(groups[0]["reason"], "as told", "{groups}");
        assert_eq!(groups[0]["count"], 6, "{groups}");
        assert_eq!(groups[1]["count"], 3, "{groups}");
        assert_eq!(groups[1]["example"], others[2], "{groups}");

        let done = scene.json(&["retry", "--reason", "must not be blank", "--yes"]);
        assert_eq!(done["retried"], 3, "{done}");
        assert_eq!(scene.count("failed").await, 6);
        for id in &others {
            let job = scene.peer.call("job", json!([id])).await;
            assert_eq!(job["state"], "waiting", "{package} {job}");
            for gone in ["failedReason", "finishedOn", "processedOn"] {
                assert_eq!(job[gone], Value::Null, "{package} {gone}: {job}");
            }
            assert_eq!(job["stacktrace"], json!([]), "{job}");
            assert_eq!(job["attemptsMade"], 1, "{job}");
        }
        assert_eq!(scene.count("completed").await, 0);
        scene
            .peer
            .call("worker.start", json!([{"concurrency": 1}]))
            .await;
        scene.until_count("failed", 6).await;
        scene.until_count("completed", 3).await;
        assert_eq!(scene.runs().await[9..], others, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_all_ends_although_the_jobs_fail_again_meanwhile() {
    let mut scene = Scene::new("bullmq6").await;
    scene.peer_fails().await;
    let count = 1_300;
    scene.add(count, json!({"attempts": 1})).await;
    scene.until_count("failed", count as u64).await;
    let done = scene.json(&["retry", "--all", "--yes"]);
    assert_eq!(done["retried"], count, "{done}");
    scene.until_count("failed", count as u64).await;
    assert_eq!(scene.runs().await.len(), 2 * count);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_counted_anew_when_asked() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let ids = scene.add_failed(1).await;
        scene.json(&["retry", "--all", "--reset-attempts", "--yes"]);
        let job = scene.peer.call("job", json!([ids[0]])).await;
        assert_eq!(
            (&job["attemptsMade"], &job["attemptsStarted"]),
            (&json!(0), &json!(0)),
            "{job}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_into_a_paused_queue_is_there_when_bullmq_resumes_it() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        scene.add_failed(5).await;
        scene.peer.call("queue.pause", json!([])).await;
        scene.add(2, json!({})).await;
        scene.json(&["retry", "--all", "--yes"]);
        scene.peer.call("queue.resume", json!([])).await;
        assert_eq!(scene.count("waiting").await, 7, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn priorities_and_ages_are_respected_and_a_hash_that_is_gone_is_not_retried() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        scene.peer_fails().await;
        let ids = scene.add(3, json!({"attempts": 1, "priority": 4})).await;
        scene.until_count("failed", 3).await;
        scene.peer.call("worker.close", json!([])).await;
        assert_eq!(
            scene.json(&["retry", "--older-than", "1h", "--yes"])["retried"],
            0
        );
        scene.redis::<()>("DEL", &[&ids[0]]).await;
        scene
            .redis::<()>("ZADD", &["failed", "1000", &ids[1]])
            .await;
        assert_eq!(
            scene.json(&["retry", "--older-than", "1h", "--yes"])["retried"],
            1
        );
        assert_eq!(scene.count("prioritized").await, 1, "{package}");
        assert_eq!(scene.json(&["retry", "--all", "--yes"])["retried"], 1);
        assert_eq!(scene.count("failed").await, 0, "{package}");
        assert_eq!(scene.count("prioritized").await, 2, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_waits_for_its_child_again() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let child = json!({"name": "child", "queueName": "cio-events", "opts": {"attempts": 1, "removeDependencyOnFailure": false, "ignoreDependencyOnFailure": true}});
        let flow = json!({"name": "parent", "queueName": "cio-events", "opts": {"delay": 3_600_000}, "children": [child]});
        scene.peer.call("flows.add", json!([flow])).await;
        scene.peer_fails().await;
        scene.until_count("failed", 1).await;
        scene.peer.call("worker.close", json!([])).await;
        scene.json(&["retry", "--all", "--yes"]);
        let mut dependencies = 0;
        for key in scene.keys().await {
            if let Some(id) = key
                .strip_prefix("bull:cio-events:")
                .filter(|id| id.ends_with(":dependencies"))
            {
                dependencies += scene.redis::<usize>("SCARD", &[id]).await;
            }
        }
        assert_eq!(dependencies, 1, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_without_a_yes_and_a_choice() {
    let mut scene = Scene::new("bullmq6").await;
    scene.add_failed(2).await;
    for arguments in [
        &["retry", "--all"][..],
        &["drain"],
        &["retry", "--yes"],
        &["retry", "--all", "--reason", "x", "--yes"],
    ] {
        let output = scene.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }
    let refused = text(&scene.run(&["retry", "--all"]).stderr);
    assert!(refused.contains("--yes"), "{refused}");
    assert_eq!(scene.count("failed").await, 2);
}
