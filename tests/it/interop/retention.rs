//! Assertion 12: what is kept of finished jobs.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::PEERS;
use super::scene::{Scene, array, data};
use crate::support::eventually;
use crate::worker::bench::Running;

/// Puts into `set` what `count` jobs leave that finished long ago.
async fn fill(scene: &mut Scene, set: &str, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(1_000) {
        let members = chunk
            .iter()
            .flat_map(|n| [n.to_string(), format!("old-{n}")]);
        let arguments: Vec<_> = std::iter::once(set.to_owned()).chain(members).collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        scene.redis::<()>("ZADD", &arguments).await;
    }
    for n in 0..3 {
        scene
            .redis::<()>("HSET", &[&format!("old-{n}"), "name", "track"])
            .await;
    }
}

async fn exists(scene: &mut Scene, key: &str) -> bool {
    scene.redis::<u64>("EXISTS", &[key]).await == 1
}

/// Where the jobs end, the option for it, and the answer that leads there.
const ENDS: [(&str, &str, u16); 2] = [
    ("completed", "removeOnComplete", 200),
    ("failed", "removeOnFail", 400),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_kept_as_it_says_itself() {
    // What it says, how many of 12 are kept beside ten older ones, and how many in all.
    let cases = [
        (json!(true), 0, 10),
        (json!(false), 12, 22),
        (json!(0), 0, 10),
        (json!(4), 4, 4),
        (json!({"count": 4}), 4, 4),
        (json!({"count": 15}), 12, 15),
        (json!({"age": 3600}), 12, 12),
        (json!({"age": 3600, "count": 8}), 8, 8),
    ];
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work_singly().await;
        for (set, option, status) in ENDS {
            scene.receiver.answer(move |_, _| (status, String::new()));
            for (keep, ours, all) in &cases {
                let case = format!("{package} {option} {keep}");
                let kept = keep_beside_old(&mut scene, set, &json!({ option: keep })).await;
                let of_ours = kept.iter().filter(|id| !id.starts_with("old")).count();
                assert_eq!((of_ours, kept.len()), (*ours, *all), "{case}");
                // A job that is not kept leaves no hash behind.
                let hash = exists(&mut scene, "old-0").await;
                let listed = kept.iter().any(|id| id == "old-0");
                assert_eq!(hash, listed, "{case}");
                assert_eq!(scene.entries(set).await.len(), 12, "{case}");
            }
        }
        worker.stop().await;
    }
}

/// Lets twelve jobs end in `set` beside ten old ones; the ids of all that are kept.
async fn keep_beside_old(scene: &mut Scene, set: &str, options: &Value) -> Vec<String> {
    for key in [set, "events"] {
        scene.redis::<()>("DEL", &[key]).await;
    }
    fill(scene, set, 10).await;
    let job = |n| json!({"name": "track", "data": data(&format!("{n}")), "opts": options});
    let jobs: Vec<_> = (0..12).map(job).collect();
    let added = array(scene.peer.call("queue.addBulk", json!([jobs])).await);
    eventually("all to end", async || {
        (scene.entries(set).await.len() == added.len()).then_some(())
    })
    .await;
    let kept: Vec<String> = scene.redis("ZRANGE", &[set, "0", "-1"]).await;
    for job in added {
        let id = job["id"].as_str().unwrap();
        let listed = kept.iter().any(|it| it == id);
        assert_eq!(exists(scene, id).await, listed, "{options}: {id}");
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_says_nothing_is_kept_as_the_worker_says_to_the_number() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        fill(&mut scene, "completed", 10_000).await;
        let jobs: Vec<Value> = (0..60)
            .map(|n| json!({"name": "track", "data": data(&format!("{n}"))}))
            .collect();
        scene.peer.call("queue.addBulk", json!([jobs])).await;
        let mut settings = scene.settings();
        settings.retention.completed = 10_000;
        let worker = Running::start(settings).await;
        scene.until_requests(60).await;
        scene.until_count("active", 0).await;

        assert_eq!(scene.count("completed").await, 10_000, "{package}");
        let newest: Vec<String> = scene.redis("ZRANGE", &["completed", "-60", "-1"]).await;
        assert!(newest.iter().all(|id| !id.starts_with("old")), "{package}");
        assert!(!exists(&mut scene, "old-0").await, "{package}");
        let jobs = scene.peer.call("queue.getCompleted", json!([0, 9]));
        assert!(
            array(jobs.await)
                .iter()
                .all(|job| job["state"] == "completed"),
            "{package}"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_a_job_s_age_goes_when_it_finishes() {
    for package in PEERS {
        let mut scene = Scene::new(package).await;
        let worker = scene.work_singly().await;
        let old = scene
            .add("a", json!({"removeOnComplete": {"age": 1}}))
            .await;
        scene.job_in(&old, "completed").await;
        sleep(Duration::from_millis(1_100)).await;
        let new = scene
            .add("b", json!({"removeOnComplete": {"age": 1}}))
            .await;
        scene.job_in(&new, "completed").await;
        assert_eq!(scene.job(&old).await, Value::Null, "{package}");
        assert_eq!(scene.count("completed").await, 1, "{package}");
        worker.stop().await;
    }
}
