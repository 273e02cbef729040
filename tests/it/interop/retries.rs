//! Assertions 4 to 6: attempts, and what becomes of a job that has none left.

use serde_json::{Value, json};

use super::PEERS;
use super::scene::{Scene, array, number};
use crate::support::eventually;
use crate::worker::receiver::refuse;

/// A failure that uses an attempt at once.
fn fails() -> (u16, String) {
    (404, "no such page".to_owned())
}

/// The first backoff: time enough to stop a worker before it is over.
const DELAY_MS: u64 = 700;

const SENTENCE: &str = "Customer.io answered 404: no such page";

#[tokio::test(flavor = "multi_thread")]
async fn attempts_go_to_and_fro_with_the_delays_of_the_backoff() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| fails());
        let backoff = json!({"attempts": 4, "backoff": {"type": "exponential", "delay": DELAY_MS}});
        let id = scene.add("a", backoff).await;
        let before = number(&scene.job(&id).await["timestamp"]);

        // Each is stopped before the job is due again: the next attempt is another's.
        let worker = scene.work().await;
        let job = scene.job_in(&id, "delayed").await;
        worker.stop().await;
        assert_eq!(
            (&job["attemptsMade"], &job["delay"]),
            (&json!(1), &json!(DELAY_MS)),
            "{package}"
        );
        let delayed = scene.entries("delayed").await;
        let due: u64 = delayed[0]["delay"].as_str().unwrap().parse().unwrap();
        assert!(due >= before + DELAY_MS, "{package}: {due} {before}");

        scene.peer_works(json!({"failures": 2})).await;
        let job = eventually("the second attempt", async || {
            let job = scene.job(&id).await;
            (job["attemptsMade"] == 2).then_some(job)
        })
        .await;
        scene.peer.call("worker.close", json!([])).await;
        assert_eq!(job["delay"], 2 * DELAY_MS, "{package}");
        let runs = scene.runs().await;
        assert_eq!(
            (runs.len(), &runs[0]["attemptsMade"]),
            (1, &json!(1)),
            "{package}"
        );
        assert!(number(&runs[0]["at"]) >= due, "{package}: {runs:?} {due}");

        let worker = scene.work().await;
        let job = eventually("the third attempt", async || {
            let job = scene.job(&id).await;
            (job["attemptsMade"] == 3).then_some(job)
        })
        .await;
        worker.stop().await;
        assert_eq!(job["delay"], 4 * DELAY_MS, "{package}");

        scene.peer_works(json!({})).await;
        let job = scene.job_in(&id, "completed").await;
        assert_eq!(
            (&job["attemptsMade"], &job["attemptsStarted"]),
            (&json!(4), &json!(4)),
            "{package}"
        );
        assert_eq!(scene.runs().await[1]["attemptsMade"], 3, "{package}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_an_attempt_failed_can_be_read_before_the_next_one() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| fails());
        let worker = scene.work().await;
        let options = json!({"attempts": 2, "backoff": 60_000});
        let id = scene.add("a", options).await;
        let job = scene.job_in(&id, "delayed").await;
        assert_eq!(job["failedReason"], SENTENCE, "{package}");
        assert_eq!(array(job["stacktrace"].clone()).len(), 1, "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backoff_s_jitter_spreads_the_delays() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| fails());
        for n in 0..20 {
            let backoff = json!({"type": "fixed", "delay": 60_000, "jitter": 0.5});
            scene
                .add(&format!("{n}"), json!({"attempts": 2, "backoff": backoff}))
                .await;
        }
        let worker = scene.work().await;
        scene.until_count("delayed", 20).await;
        let jobs = array(scene.peer.call("queue.getDelayed", json!([])).await);
        let mut delays: Vec<_> = jobs.iter().map(|job| number(&job["delay"])).collect();
        assert!(
            delays.iter().all(|it| (30_000..=60_000).contains(it)),
            "{package}: {delays:?}"
        );
        delays.sort_unstable();
        delays.dedup();
        assert!(delays.len() > 10, "{package}: {delays:?}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_s_last_failure_puts_it_into_the_failed_set_from_which_bullmq_gets_it_back() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| fails());
        let id = scene.add("a", json!({"attempts": 2})).await;
        let worker = scene.work().await;
        let job = scene.job_in(&id, "failed").await;
        assert_eq!(
            (&job["failedReason"], &job["attemptsMade"]),
            (&json!(SENTENCE), &json!(2)),
            "{package}"
        );
        let exhausted = json!({"event": "retries-exhausted", "jobId": id, "attemptsMade": "2"});
        assert_eq!(
            scene.entries("retries-exhausted").await,
            [exhausted],
            "{package}"
        );
        let failed =
            json!({"event": "failed", "jobId": id, "failedReason": SENTENCE, "prev": "active"});
        assert_eq!(scene.entries("failed").await, [failed], "{package}");

        scene.receiver.answer(|_, _| (200, String::new()));
        scene.peer.call("job.retry", json!([id, "failed"])).await;
        let job = scene.job_in(&id, "completed").await;
        assert_eq!(job["attemptsMade"], 3, "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stack_traces_are_limited_as_the_job_says() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| fails());
        let mut kept = Vec::new();
        for limit in [Value::Null, json!(2), json!(0)] {
            let mut options = json!({"attempts": 3});
            if !limit.is_null() {
                options["stackTraceLimit"] = limit;
            }
            kept.push(scene.add("a", options).await);
        }
        let worker = scene.work().await;
        scene.until_count("failed", 3).await;
        for (id, expected) in kept.iter().zip([3, 2, 0]) {
            let job = scene.job(id).await;
            assert_eq!(
                array(job["stacktrace"].clone()).len(),
                expected,
                "{package}: {job}"
            );
        }
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_refused_for_good_uses_no_other_attempt() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene.receiver.answer(|_, _| refuse("no"));
        let options = json!({"attempts": 5, "backoff": {"type": "fixed", "delay": 10}});
        let refused = scene.add("a", options.clone()).await;
        let unknown = scene
            .peer
            .call("queue.add", json!(["unknown", {}, options]))
            .await;
        let unknown = unknown["id"].as_str().unwrap();
        let worker = scene.work().await;
        for id in [refused.as_str(), unknown] {
            let job = scene.job_in(id, "failed").await;
            assert_eq!(job["attemptsMade"], 1, "{package}: {job}");
        }
        assert!(
            scene.entries("retries-exhausted").await.is_empty(),
            "{package}"
        );
        assert_eq!(scene.receiver.count(), 1, "{package}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_without_a_delay_goes_behind_the_others() {
    for package in PEERS {
        let jobs = [("a", json!({"attempts": 2})), ("b", json!({}))];
        assert_eq!(
            order_of_retry(package, jobs).await,
            ["a", "b", "a"],
            "{package}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_lifo_job_goes_before_the_others() {
    for package in PEERS {
        let jobs = [
            ("b", json!({})),
            ("a", json!({"attempts": 2, "lifo": true})),
        ];
        assert_eq!(
            order_of_retry(package, jobs).await,
            ["a", "a", "b"],
            "{package}"
        );
    }
}

/// How the jobs come when the first attempt of "a" fails.
async fn order_of_retry(package: &str, jobs: [(&str, Value); 2]) -> Vec<String> {
    let mut scene = Scene::new(package).await;
    let mut failures = 1;
    scene.receiver.answer(move |_, body| {
        let fail = body["name"] == "a" && failures > 0;
        failures -= i32::from(fail);
        if fail { fails() } else { (200, String::new()) }
    });
    for (event, options) in jobs {
        scene.add(event, options).await;
    }
    let worker = scene.work_singly().await;
    scene.until_count("completed", 2).await;
    worker.stop().await;
    scene.arrived()
}
