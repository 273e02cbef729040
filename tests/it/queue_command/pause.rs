//! `pause` and `resume`, beside BullMQ's own.

use serde_json::json;

use super::scene::Scene;
use crate::interop::MAJORS;
use crate::interop::peer::Peer;

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Who {
    Cio,
    Bullmq,
}

async fn set(scene: &mut Scene, who: Who, wish: &str) {
    match who {
        Who::Cio => drop(scene.json(&[wish])),
        Who::Bullmq => drop(scene.peer.call(&format!("queue.{wish}"), json!([])).await),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_turned_round_whoever_pauses_and_whoever_resumes() {
    for package in MAJORS {
        for (pauses, resumes) in [
            (Who::Cio, Who::Cio),
            (Who::Cio, Who::Bullmq),
            (Who::Bullmq, Who::Cio),
        ] {
            for before in [0, 3] {
                let case =
                    format!("{package}, {before} before, {pauses:?} pauses, {resumes:?} resumes");
                let mut scene = Scene::new(package).await;
                let mut ids = scene.add(before, json!({})).await;
                set(&mut scene, pauses, "pause").await;
                assert_eq!(
                    scene.peer.call("queue.isPaused", json!([])).await,
                    true,
                    "{case}"
                );
                ids.extend(scene.add(4, json!({})).await);
                scene
                    .peer
                    .call("worker.start", json!([{"concurrency": 1}]))
                    .await;
                assert!(scene.runs().await.is_empty(), "{case}");
                set(&mut scene, resumes, "resume").await;
                scene.until_count("completed", ids.len() as u64).await;
                assert_eq!(scene.runs().await, ids, "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_joins_what_both_majors_left_behind() {
    for (pauses, adds) in [("bullmq5", "bullmq6"), ("bullmq6", "bullmq5")] {
        for (before, between) in [(1, 6), (6, 1), (1_500, 2_500), (0, 3)] {
            let mut scene = Scene::new(pauses).await;
            let mut other = Peer::start(adds, &scene.server.url()).await;
            scene.add(before, json!({})).await;
            scene.peer.call("queue.pause", json!([])).await;
            let jobs: Vec<_> = (0..between)
                .map(|_| json!({"name": "track", "data": {}}))
                .collect();
            other.call("queue.addBulk", json!([jobs])).await;
            let outcome = scene.json(&["resume"]);
            assert_eq!(
                outcome["ready"],
                before + between,
                "{pauses} pauses: {outcome}"
            );
            let waiting: usize = scene.redis("LLEN", &["wait"]).await;
            assert_eq!(waiting, before + between, "{pauses} pauses, {adds} adds");
            assert_eq!(scene.redis::<u8>("EXISTS", &["paused"]).await, 0);
            let woken: u64 = scene.redis("ZCARD", &["marker"]).await;
            assert_eq!(woken, 1, "an idle worker is woken");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_can_be_made_safe_for_bullmq_5_where_6_opened_the_queue_last() {
    let mut scene = Scene::new("bullmq6").await;
    let mut five = Peer::start("bullmq5", &scene.server.url()).await;
    five.call("queue.isPaused", json!([])).await;
    scene.peer.call("open", json!([{}])).await;
    scene.add(3, json!({})).await;
    assert_eq!(scene.json(&["pause", "--bullmq", "5"])["bullmq"], 5);
    five.call("queue.add", json!(["track", {}])).await;
    five.call("queue.resume", json!([])).await;
    assert_eq!(scene.count("waiting").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn doing_it_twice_changes_nothing_and_says_so() {
    for package in MAJORS {
        let mut scene = Scene::new(package).await;
        scene.add(2, json!({})).await;
        for (wish, changed) in [
            ("pause", true),
            ("pause", false),
            ("resume", true),
            ("resume", false),
        ] {
            let outcome = scene.json(&[wish]);
            assert_eq!(outcome["changed"], changed, "{package} {wish}");
            assert_eq!(outcome["ready"], 2, "{package} {wish}");
        }
        let entries: Vec<(String, Vec<String>)> =
            scene.redis("XRANGE", &["events", "-", "+"]).await;
        let told = entries
            .iter()
            .filter(|(_, fields)| matches!(fields[1].as_str(), "paused" | "resumed"));
        assert_eq!(told.count(), 2, "{package}");
    }
}
