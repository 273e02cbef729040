//! Who sends how much of what a workspace may be sent.

use serde_json::json;

use super::Fleet;
use crate::support::eventually;
use crate::support::simulator::TakenEvents;
use crate::worker::bench::{QUEUE, add, all_finished, many, track};

/// Requests in a second that all may send together.
const RATE: u64 = 100;
/// The requests that are judged.
const REQUESTS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that gets no processor gets no share, so it runs alone: make test-limit"]
async fn two_workers_of_one_queue_each_send_a_third_at_least() {
    let mut fleet = Fleet::new(&[]).await;
    let queue = fleet.queue(QUEUE).await;
    let rate = RATE.to_string();
    for _ in 0..2 {
        fleet.work(&[("CIO_REQUESTS_PER_SECOND", &rate)]).await;
    }
    // Both are at work before the requests that are judged.
    let mut added = 0;
    eventually("both to send", async || {
        add(&queue, many(40, 40)).await;
        added += 40;
        all_finished(&queue, added).await;
        let sent = fleet.accepted().await;
        sent.iter().all(|sent| *sent > 0).then_some(())
    })
    .await;
    let before = fleet.accepted().await;
    add(&queue, many(REQUESTS, REQUESTS)).await;
    let all = added + REQUESTS as u64;
    assert_eq!(all_finished(&queue, all).await, (all, 0));

    let after = fleet.accepted().await;
    let sent: Vec<u64> = before.iter().zip(&after).map(|(a, b)| b - a).collect();
    println!("of {REQUESTS} requests each worker sent {sent:?}");
    assert_eq!(sent.iter().sum::<u64>(), REQUESTS as u64);
    assert!(
        sent.iter().all(|sent| 3 * sent >= REQUESTS as u64),
        "{sent:?}"
    );
    assert_eq!(fleet.simulator.requests().await, all);
    fleet.end();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that gets no processor gets no share, so it runs alone: make test-limit"]
async fn two_pipelines_of_a_workspace_share_its_limit_and_each_gets_a_third_at_least() {
    const PIPELINES: [&str; 2] = ["first", "second"];
    let mut fleet = Fleet::new(&[]).await;
    let rate = RATE.to_string();
    for pipeline in PIPELINES {
        let queue = fleet.queue(pipeline).await;
        let job = |n: usize| track(&format!("{pipeline}-{n}"), pipeline, &json!({"n": n}));
        // Neither is through while the requests that are judged are sent.
        add(&queue, (0..2 * REQUESTS).map(job)).await;
    }
    for pipeline in PIPELINES {
        let variables = [
            ("CIO_QUEUE", pipeline),
            ("CIO_REQUESTS_PER_SECOND", rate.as_str()),
        ];
        fleet.work(&variables).await;
    }
    let mut taken = TakenEvents::default();
    let begun = eventually("both to send", async || {
        taken.read(&fleet.simulator).await;
        let first = |pipeline: &&str| taken.all.iter().position(|it| it.name == *pipeline);
        let firsts: Option<Vec<usize>> = PIPELINES.iter().map(first).collect();
        firsts?.into_iter().max()
    })
    .await;
    eventually("the requests that are judged", async || {
        taken.read(&fleet.simulator).await;
        (taken.all.len() >= begun + REQUESTS).then_some(())
    })
    .await;

    let judged = &taken.all[begun..begun + REQUESTS];
    for pipeline in PIPELINES {
        let sent = judged.iter().filter(|it| it.name == pipeline).count();
        println!("{pipeline} sent {sent} of {REQUESTS}");
        assert!(3 * sent >= REQUESTS, "{pipeline}: {sent} of {REQUESTS}");
    }
    keeps_the_limit(&fleet, begun).await;
    fleet.end();
}

/// The requests from this one on were spread over the time that they need at least, and each had its turn
/// from the one limit.
async fn keeps_the_limit(fleet: &Fleet, begun: usize) {
    let arrivals = fleet.simulator.arrivals().await;
    let judged = &arrivals[begun..begun + REQUESTS];
    let took = judged[REQUESTS - 1] - judged[0];
    // Two limits would let them through in half of it; a tenth is for what arrives early or late.
    let least = (REQUESTS as u64 - 1) * 1_000_000 / RATE * 9 / 10;
    assert!(took >= least, "{REQUESTS} requests in {took} us");
    let granted: u64 = fleet.limit("granted").await.expect("turns");
    let requests = fleet.simulator.requests().await;
    assert!(granted > 0 && requests <= granted + REQUESTS as u64 / 10);
}
