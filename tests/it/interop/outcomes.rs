//! Assertions 1 to 3: what BullMQ sees of a job that we complete.

use serde_json::{Value, json};

use super::PEERS;
use super::scene::{Scene, array, data, number};
use crate::support::eventually;
use crate::worker::receiver::refuse;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_we_complete_is_completed_for_whoever_added_it() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        let id = scene.add("a", json!({"attempts": 5})).await;
        let job = scene.job_in(&id, "completed").await;

        assert_eq!(
            (&job["attemptsMade"], &job["attemptsStarted"]),
            (&json!(1), &json!(1)),
            "{package}: {job}"
        );
        assert_eq!(job["returnvalue"], Value::Null, "{package}");
        let times = ["timestamp", "processedOn", "finishedOn"].map(|it| number(&job[it]));
        assert!(times.is_sorted(), "{package}: {times:?}");
        let row: Vec<String> = scene
            .redis("HMGET", &[&id, "atm", "ats", "returnvalue"])
            .await;
        assert_eq!(row, ["1", "1", "null"], "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_a_job_hears_of_its_end() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.peer.call("events.start", json!([])).await;
        let id = scene.add("a", json!({})).await;
        let worker = scene.work().await;
        let value = scene.peer.call("finished", json!([id, 10_000])).await;
        assert_eq!(value, Value::Null, "{package}");
        let events = array(scene.peer.call("events", json!([])).await);
        let completed =
            json!({"event": "completed", "jobId": id, "returnvalue": null, "prev": "active"});
        assert!(events.contains(&completed), "{package}: {events:?}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_job_are_bullmqs_own_in_their_order() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        let id = scene.add("a", json!({})).await;
        eventually("drained", async || {
            (!scene.entries("drained").await.is_empty()).then_some(())
        })
        .await;
        let expected = [
            json!({"event": "added", "jobId": id, "name": "track"}),
            json!({"event": "waiting", "jobId": id}),
            json!({"event": "active", "jobId": id, "prev": "waiting"}),
            json!({"event": "completed", "jobId": id, "returnvalue": "null", "prev": "active"}),
            json!({"event": "drained"}),
        ];
        assert_eq!(scene.stream().await, expected, "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_events_survive_whatever_becomes_of_a_job() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.peer.call("events.start", json!([])).await;
        scene.receiver.answer(|_, body| {
            let name = body["name"].as_str().unwrap_or_default();
            let broken = "{\"a\": \"\u{1}\n}, not JSON";
            match name {
                "refused" => refuse(broken),
                "failing" => (404, broken.to_owned()),
                // An object is an answer of Customer.io's, whatever is in it; anything else is not.
                "odd" => (200, r#"{"a": "} {\u0001", "b": [null]}"#.to_owned()),
                _ => (200, String::new()),
            }
        });
        let worker = scene.work().await;
        for event in ["refused", "failing", "odd"] {
            scene.add(event, json!({})).await;
        }
        for odd in [json!(null), json!("text"), json!([1]), json!({})] {
            scene
                .peer
                .call("queue.add", json!(["track", odd, {}]))
                .await;
        }
        scene.until_count("failed", 6).await;
        let last = scene
            .peer
            .call("queue.add", json!(["track", data("last"), {}]))
            .await;
        let value = scene
            .peer
            .call("finished", json!([last["id"], 10_000]))
            .await;

        assert_eq!(value, Value::Null, "{package}");
        let events = array(scene.peer.call("events", json!([])).await);
        let of = |event: &str| events.iter().filter(|it| it["event"] == event).count();
        assert_eq!(
            (of("failed"), of("completed"), of("error")),
            (6, 2, 0),
            "{package}"
        );
        worker.stop().await;
    }
}
