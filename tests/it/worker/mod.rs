//! The worker on a real Redis, against a receiver that answers as it is told.

pub(crate) mod bench;
mod circuit;
mod cluster;
mod faults;
pub(crate) mod life;
mod outcomes;
pub(crate) mod receiver;
mod rights;
mod special;
#[cfg(feature = "otel")]
mod traces;

use std::collections::HashSet;
use std::time::Duration;

use cio_operator::delivery::Mode;
use serde_json::{Value, json};

use self::bench::{Running, add, all_finished, many, queue, settings, track};
use self::receiver::{Receiver, operations};
use crate::support::http;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn every_job_is_delivered_once_and_no_user_is_in_two_requests_at_a_time() {
    for mode in [Mode::Batch, Mode::Single] {
        let server = RedisServer::start();
        let receiver = Receiver::start().await;
        receiver.take_time(Duration::from_millis(3));
        let queue = queue(&server).await;
        add(&queue, many(2_000, 20)).await;
        let worker = Running::start(settings(&server, &receiver, mode)).await;

        assert_eq!(all_finished(&queue, 2_000).await, (2_000, 0), "{mode:?}");
        let ids = receiver.event_ids();
        assert_eq!(ids.len(), 2_000, "{mode:?}");
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 2_000, "{mode:?}");
        assert_eq!(receiver.overlaps(), 0, "{mode:?}");
        let requests = receiver.count();
        assert!(
            mode == Mode::Single || requests < 400,
            "{requests} requests"
        );
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_are_those_of_the_track_api() {
    let server = RedisServer::start();
    let receiver = Receiver::start().await;
    let queue = queue(&server).await;
    let large = "x".repeat(40_000);
    let identify = json!({"userId": "a b/ü", "data": {"email": "a@example.com"}, "enqueuedAt": 1_700_000_000_000_u64});
    add(
        &queue,
        [
            ("identify".to_owned(), identify),
            track("big", "large", &json!({"x": large})),
        ],
    )
    .await;
    let worker = Running::start(settings(&server, &receiver, Mode::Batch)).await;
    assert_eq!(all_finished(&queue, 2).await, (2, 0));

    let arrivals = receiver.arrivals();
    let authorized = |it: &receiver::Arrival| it.authorization == "Basic c2l0ZTprZXk=";
    assert!(arrivals.iter().all(authorized));
    let paths: HashSet<_> = arrivals
        .iter()
        .map(|arrival| arrival.path.as_str())
        .collect();
    assert_eq!(
        paths,
        HashSet::from(["POST /api/v2/batch", "POST /api/v1/customers/big/events"])
    );
    let batch = arrivals
        .iter()
        .find(|it| it.path == "POST /api/v2/batch")
        .expect("a batch");
    let person = json!({"type": "person", "identifiers": {"id": "a b/ü"}, "action": "identify",
        "attributes": {"email": "a@example.com"}, "timestamp": 1_700_000_000});
    assert_eq!(operations(&batch.path, &batch.body), [person]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_tell_what_happened_and_no_user_is_on_them() {
    let server = RedisServer::start();
    let receiver = Receiver::start().await;
    let queue = queue(&server).await;
    add(&queue, many(20, 5)).await;
    add(&queue, [("identify".to_owned(), Value::Null)]).await;
    let worker = Running::start(settings(&server, &receiver, Mode::Batch)).await;
    assert_eq!(all_finished(&queue, 21).await, (20, 1));

    let page = async |path: &str| {
        let answer = http::get(&format!("{}{path}", worker.address)).await;
        answer.expect("an answer")
    };
    let (status, text) = page("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "cio_delivery_jobs_total{operation=\"track\",outcome=\"delivered\"} 20",
        "cio_delivery_jobs_total{operation=\"identify\",outcome=\"rejected\"} 1",
        "cio_delivery_in_flight_bytes 0",
        "cio_delivery_circuit_open{class=\"unauthorized\"} 0",
        "cio_delivery_lag_seconds_count{operation=\"track\"} 20",
        "cio_limit_errors_total 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("user-"));
    assert_eq!(
        (page("/readyz").await.0, page("/healthz").await.0),
        (200, 200)
    );
    worker.stop().await;
}
