//! `stats` and `peek`.

use serde_json::json;

use super::scene::{Scene, cio, text};
use crate::interop::MAJORS;
use crate::support::redis::free_port;

#[tokio::test(flavor = "multi_thread")]
async fn stats_says_what_bullmq_counts_and_what_holds_the_queue_back() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        scene.add_failed(3).await;
        scene.add(4, json!({})).await;
        scene.add(2, json!({"priority": 5})).await;
        scene.add(1, json!({"delay": 3_600_000})).await;
        scene
            .redis::<()>(
                "HSET",
                &["meta", "max", "80", "duration", "1000", "concurrency", "7"],
            )
            .await;
        let stats = scene.json(&["stats"]);
        for (state, count) in [
            ("waiting", 4),
            ("prioritized", 2),
            ("delayed", 1),
            ("failed", 3),
            ("active", 0),
        ] {
            assert_eq!(stats["counts"][state], count, "{package} {state}: {stats}");
        }
        assert_eq!(stats["depth"], 6, "{stats}");
        assert_eq!(stats["limits"]["max"], 80, "{stats}");
        assert_eq!(stats["limits"]["concurrency"], 7, "{stats}");
        assert!(stats["oldest_waiting_ms"].is_u64(), "{stats}");
        let version = stats["version"].as_str().expect("a version");
        assert!(package.ends_with(&version[7..8]), "{package} {version}");

        scene.peer.call("queue.pause", json!([])).await;
        let shown = text(&scene.run(&["stats"]).stdout);
        assert!(shown.contains("paused: no worker takes a job"), "{shown}");
        assert!(shown.contains("waiting      4"), "{shown}");
    }
}

#[test]
fn a_redis_that_is_not_there_is_named_and_its_password_is_not() {
    let port = free_port();
    let output = cio(
        &["queue", "stats"],
        &format!("redis://:geheim@127.0.0.1:{port}"),
    );
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(!error.contains("geheim"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn peek_shows_the_structure_of_a_job_and_its_data_only_when_asked() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let ids = scene.add(7, json!({})).await;
        let next = scene.json(&["peek", "--state", "waiting", "--count", "3"]);
        let shown: Vec<_> = next
            .as_array()
            .expect("jobs")
            .iter()
            .map(|job| &job["id"])
            .collect();
        assert_eq!(shown, [&ids[0], &ids[1], &ids[2]], "{package}");

        let hidden = text(&scene.run(&["peek", &ids[4]]).stdout);
        assert!(hidden.contains("\"userId\": \"<string>\""), "{hidden}");
        assert!(!hidden.contains("example.com"), "{hidden}");
        let job = &scene.json(&["peek", &ids[4], "--show-data"])[0];
        assert_eq!(job["data"]["data"]["email"], "u4@example.com", "{job}");
        assert_eq!(job["state"], "waiting", "{job}");

        let output = scene.run(&["peek", "no-such-job"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(scene.run(&["peek"]).status.code(), Some(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peek_finds_a_job_in_every_state() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let failed = scene.add_failed(1).await;
        let delayed = scene.add(1, json!({"delay": 3_600_000})).await;
        let prioritized = scene.add(1, json!({"priority": 1})).await;
        scene.peer.call("queue.pause", json!([])).await;
        let waiting = scene.add(1, json!({})).await;
        for (state, ids) in [
            ("failed", failed),
            ("delayed", delayed),
            ("prioritized", prioritized),
            ("waiting", waiting),
        ] {
            let by_id = scene.json(&["peek", &ids[0]]);
            assert_eq!(by_id[0]["state"], state, "{package}");
            let by_state = scene.json(&["peek", "--state", state]);
            assert_eq!(by_state[0]["id"], ids[0], "{package} {state}");
        }
    }
}
