//! Assertions 7 to 9: workers that vanish, locks that are lost and locks that are kept.

use std::time::Duration;

use cio_operator::worker::MAX_STALLED;
use serde_json::json;

use super::PEERS;
use super::peer::Peer;
use super::scene::{LOCK_MS, STALLED_MS, Scene, number};
use crate::support::eventually;
use crate::support::process::Cio;
use crate::worker::life::variables;

/// What BullMQ says of a job whose workers vanish too often.
const TOO_OFTEN: &str = "job stalled more than allowable limit";

/// Our worker as a process: this one can be stopped and killed.
fn process(scene: &Scene) -> Cio {
    let url = scene.server.url();
    let mut variables = variables(&url, &scene.receiver);
    variables.push(("CIO_DELIVERY_MODE", "single"));
    Cio::start(&["worker"], &variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_our_killed_worker_is_run_again_by_bullmq() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.take_time(Duration::from_secs(20));
        let id = scene.add("a", json!({})).await;
        let worker = process(&scene);
        scene.until_requests(1).await;
        drop(worker);

        scene.peer_works(json!({})).await;
        let job = scene.job_in(&id, "completed").await;
        assert_eq!(job["stalledCounter"], 1, "{package}: {job}");
        assert_eq!(
            (&job["attemptsStarted"], &job["attemptsMade"]),
            (&json!(2), &json!(1)),
            "{package}"
        );
        assert_eq!(scene.runs().await[0]["stalledCounter"], 1, "{package}");
        assert_eq!(scene.entries("stalled").await.len(), 1, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_bullmqs_killed_worker_is_run_again_by_us() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let id = scene.add("a", json!({})).await;
        abandon(&mut scene, package).await;
        let worker = scene.work().await;
        let job = scene.job_in(&id, "completed").await;
        assert_eq!(job["stalledCounter"], 1, "{package}: {job}");
        assert_eq!(scene.arrived(), ["a"], "{package}");
        let stalled = json!({"event": "stalled", "jobId": id});
        assert_eq!(scene.entries("stalled").await, [stalled], "{package}");
        worker.stop().await;
    }
}

/// The waiting job is taken by a worker of BullMQ's that is killed with it.
async fn abandon(scene: &mut Scene, package: &str) {
    let mut other = Peer::start(package, &scene.server.url()).await;
    let options = json!({"lockDuration": LOCK_MS, "stalledInterval": STALLED_MS});
    other
        .call("worker.start", json!([options, {"ms": 60_000}]))
        .await;
    scene.until_count("active", 1).await;
    other.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_bullmq_has_seen_stall_too_often_fails_with_us_unsent() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let id = scene.add("a", json!({"attempts": 5})).await;
        abandon(&mut scene, package).await;
        let looks = json!({"autorun": false, "maxStalledCount": 0, "stalledInterval": STALLED_MS});
        scene.peer.call("worker.start", json!([looks])).await;
        scene.job_in(&id, "waiting").await;
        scene.peer.call("worker.close", json!([])).await;

        let worker = scene.work().await;
        let job = scene.job_in(&id, "failed").await;
        assert_eq!(
            (&job["failedReason"], &job["attemptsMade"]),
            (&json!(TOO_OFTEN), &json!(1)),
            "{package}"
        );
        assert_eq!(scene.receiver.count(), 0, "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_stalls_more_often_than_we_allow_fails_for_whoever_takes_it() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let id = scene.add("a", json!({})).await;
        let most = MAX_STALLED.to_string();
        scene.redis::<()>("HSET", &[&id, "stc", &most]).await;
        abandon(&mut scene, package).await;
        let worker = scene.work().await;
        let job = scene.job_in(&id, "failed").await;
        assert_eq!(job["failedReason"], TOO_OFTEN, "{package}: {job}");
        assert_eq!(job["stalledCounter"], MAX_STALLED + 1, "{package}: {job}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_finish_after_our_lock_is_lost_is_refused_and_changes_nothing() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.take_time(Duration::from_millis(300));
        let id = scene.add("a", json!({"attempts": 3})).await;
        let worker = process(&scene);
        scene.until_requests(1).await;
        worker.signal("STOP");
        scene.peer_works(json!({})).await;
        let theirs = scene.job_in(&id, "completed").await;
        scene.peer.call("worker.close", json!([])).await;

        // Now it gets its answer, and goes on with another job.
        worker.signal("CONT");
        let next = scene.add("b", json!({})).await;
        scene.job_in(&next, "completed").await;
        assert_eq!(scene.job(&id).await, theirs, "{package}");
        let completed = scene.entries("completed").await;
        let of_it = completed.iter().filter(|it| it["jobId"] == id.as_str());
        assert_eq!(of_it.count(), 1, "{package}");
        for (state, count) in [
            ("completed", 2),
            ("active", 0),
            ("failed", 0),
            ("waiting", 0),
        ] {
            assert_eq!(scene.count(state).await, count, "{package}: {state}");
        }
        let (code, log) = worker.terminate();
        assert_eq!(code, Some(0), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_longer_than_a_lock_lasts_stays_ours() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.take_time(Duration::from_millis(3 * LOCK_MS));
        let id = scene.add("a", json!({})).await;
        let worker = scene.work().await;
        scene.until_requests(1).await;
        scene.peer_works(json!({})).await;
        let job = scene.job_in(&id, "completed").await;
        assert!(number(&job["finishedOn"]) - number(&job["processedOn"]) >= 3 * LOCK_MS);
        assert_eq!(job["stalledCounter"], 0, "{package}");
        assert!(scene.runs().await.is_empty(), "{package}");
        assert_eq!(scene.receiver.count(), 1, "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_lost_while_we_work_is_not_taken_back() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.take_time(Duration::from_millis(2 * LOCK_MS));
        let id = scene.add("a", json!({})).await;
        let worker = scene.work().await;
        scene.until_requests(1).await;
        let lock = format!("{id}:lock");
        scene.redis::<()>("SET", &[&lock, "another's"]).await;
        // After the answer there is nothing that tells that the completion was refused.
        eventually("the next job", async || {
            tokio::time::sleep(Duration::from_millis(3 * LOCK_MS)).await;
            Some(())
        })
        .await;
        assert_eq!(
            scene.redis::<String>("GET", &[&lock]).await,
            "another's",
            "{package}"
        );
        assert_eq!(scene.job(&id).await["state"], "active", "{package}");
        assert!(scene.entries("completed").await.is_empty(), "{package}");
        worker.stop().await;
    }
}
