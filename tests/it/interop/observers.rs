//! Assertions 11, 18 to 21 and 23: what BullMQ's readers of a queue see of us.

use cio_operator::queue::connection::Redis;
use cio_operator::queue::jobs::add::{Adder, NewJob};
use cio_operator::queue::names::QueueKeys;
use cio_operator::queue::source::RedisSource;
use serde_json::{Value, json};

use super::scene::{Scene, array, data, number};
use super::{MAJORS, PEERS};
use crate::support::eventually;
use crate::worker::bench::{self, QUEUE};
use crate::worker::receiver::refuse;

/// Far less than any poll of a worker that nobody wakes.
const SOON_MS: u64 = 50;

/// The soonest of some pick-ups: a busy machine makes one late, not all.
async fn soonest(scene: &mut Scene) -> u64 {
    let mut soonest = u64::MAX;
    for _ in 0..5 {
        let id = scene.add("a", json!({})).await;
        let job = scene.job_in(&id, "completed").await;
        soonest = soonest.min(number(&job["processedOn"]) - number(&job["timestamp"]));
    }
    soonest
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_woken_at_once_on_either_side() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        let waited = soonest(&mut scene).await;
        assert!(waited < SOON_MS, "{package}: {waited} ms");
        worker.stop().await;

        scene.peer_works(json!({})).await;
        let queue = bench::queue(&scene.server).await;
        let mut soonest = u64::MAX;
        for n in 0..5 {
            let job = queue.add("track", data("b")).await.unwrap();
            let runs = eventually("a run", async || {
                let runs = scene.runs().await;
                (runs.len() > n).then_some(runs)
            })
            .await;
            soonest = soonest.min(number(&runs[n]["at"]).saturating_sub(job.timestamp()));
        }
        assert!(soonest < SOON_MS, "{package}: {soonest} ms");
        scene.peer.call("worker.close", json!([])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bullmq_lists_us_among_the_workers() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work().await;
        eventually("a worker", async || {
            let workers = array(scene.peer.call("queue.getWorkers", json!([])).await);
            (workers.len() == 1).then_some(())
        })
        .await;
        assert_eq!(
            scene.peer.call("queue.getWorkersCount", json!([])).await,
            1,
            "{package}"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_events_stays_as_short_as_the_queue_says() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        let short = json!({"streams": {"events": {"maxLen": 100}}});
        scene.peer.call("open", json!([short])).await;
        eventually("the setting", async || {
            let set: Option<String> = scene.redis("HGET", &["meta", "opts.maxLenEvents"]).await;
            (set.as_deref() == Some("100")).then_some(())
        })
        .await;
        let jobs: Vec<_> = (0..400)
            .map(|n| json!({"name": "track", "data": data(&format!("{n}"))}))
            .collect();
        scene.peer.call("queue.addBulk", json!([jobs])).await;
        let worker = scene.work().await;
        scene.until_count("completed", 400).await;
        // Redis trims whole nodes, of a hundred entries.
        let length: u64 = scene.redis("XLEN", &["events"]).await;
        assert!((100..=250).contains(&length), "{package}: {length}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bullmqs_counts_and_lists_hold_our_jobs_in_every_state() {
    const STATES: [&str; 6] = [
        "active",
        "completed",
        "delayed",
        "failed",
        "prioritized",
        "waiting",
    ];
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        scene
            .receiver
            .answer(|_, body| match body["name"].as_str() {
                Some("failed") => refuse("no"),
                Some("delayed") => (404, "no".to_owned()),
                _ => (200, String::new()),
            });
        let worker = scene.work_singly().await;
        let later = json!({"attempts": 2, "backoff": 60_000});
        for (state, options) in [
            ("completed", json!({})),
            ("failed", json!({})),
            ("delayed", later),
        ] {
            let id = scene.add(state, options).await;
            scene.job_in(&id, state).await;
        }
        scene.receiver.take_time(std::time::Duration::from_secs(2));
        let active = scene.add("active", json!({})).await;
        scene.job_in(&active, "active").await;
        scene.add("waiting", json!({})).await;
        scene.add("prioritized", json!({"priority": 1})).await;

        let counts = scene.peer.call("queue.getJobCounts", json!(STATES)).await;
        for state in STATES {
            assert_eq!(counts[state], 1, "{package} {state}: {counts}");
        }
        // What a dashboard such as bull-board shows of each.
        for state in STATES {
            let jobs = array(
                scene
                    .peer
                    .call("queue.getJobs", json!([[state], 0, 10]))
                    .await,
            );
            assert_eq!(
                (jobs.len(), &jobs[0]["data"]["data"]["name"]),
                (1, &json!(state)),
                "{package}"
            );
            assert_eq!(jobs[0]["state"], state, "{package}: {jobs:?}");
        }
        worker.stop().await;
    }
}

/// We add a job; its id.
async fn add(scene: &Scene, options: &Value, data: &str) -> String {
    let source = RedisSource::fixed(scene.server.url().parse().unwrap());
    let keys = QueueKeys::new(&"bull".parse().unwrap(), &QUEUE.parse().unwrap());
    let adder = Adder::new(Redis::new(source), keys, options.as_object().unwrap());
    let name = "track";
    adder.add(&[NewJob { name, data }]).await.unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_jobs_that_we_add_read_the_same_in_bullmq() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let same = json!({
            "attempts": 5, "backoff": {"type": "exponential", "delay": 2_000}, "delay": 60_000,
            "priority": 7, "lifo": true, "deduplication": {"id": "x", "ttl": 60_000},
            "removeOnComplete": 10_000, "removeOnFail": true,
        });
        let ours = add(&scene, &same, &data("a").to_string()).await;
        // Else theirs would be ours again.
        scene.redis::<()>("DEL", &["de:x"]).await;
        let theirs = scene.add("a", same).await;
        assert_ne!(ours, theirs, "{package}");
        let (ours, theirs) = (scene.job(&ours).await, scene.job(&theirs).await);
        for field in [
            "name",
            "data",
            "opts",
            "delay",
            "priority",
            "attemptsMade",
            "state",
        ] {
            assert_eq!(ours[field], theirs[field], "{package}: {field}");
        }
        assert_eq!(ours["state"], "delayed", "{package}");
        let none = add(&scene, &json!({}), "null").await;
        assert_eq!(scene.job(&none).await["data"], Value::Null, "{package}");
    }
}
