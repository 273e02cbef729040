//! What becomes of jobs when Customer.io refuses, fails, or is not there.

use std::collections::HashSet;

use bullmq::Queue;
use cio_operator::delivery::Mode;
use serde_json::{Value, json};

use super::bench::{Running, add, all_finished, counts, many, queue, settings, track};
use super::receiver::{Receiver, accept, operations};
use crate::support::eventually;
use crate::support::redis::RedisServer;

/// The failed jobs' reasons, and how many attempts each has used.
pub(super) async fn failures(queue: &Queue) -> Vec<(String, u32)> {
    let failed = queue.get_failed(0, -1).await.expect("failed jobs");
    failed
        .iter()
        .map(|job| (job.failed_reason().to_owned(), job.attempts_made()))
        .collect()
}

fn is_bad(operation: &Value) -> bool {
    operation["name"] == "bad"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_can_never_be_delivered_fails_at_once_with_a_sentence() {
    let server = RedisServer::start();
    let receiver = Receiver::start().await;
    let queue = queue(&server).await;
    let no_user = ("track".to_owned(), json!({"data": {"name": "n"}}));
    let unknown = ("delete".to_owned(), json!({"userId": "u"}));
    add(&queue, [no_user, unknown]).await;
    add(&queue, many(10, 3)).await;
    let worker = Running::start(settings(&server, &receiver, Mode::Batch)).await;

    assert_eq!(all_finished(&queue, 12).await, (10, 2));
    let failures = failures(&queue).await;
    assert!(
        failures
            .iter()
            .any(|(reason, _)| reason.starts_with("userId is missing")),
        "{failures:?}"
    );
    assert!(
        failures
            .iter()
            .any(|(reason, _)| reason.contains("neither \"identify\"")),
        "{failures:?}"
    );
    assert!(
        failures.iter().all(|(_, attempts)| *attempts == 1),
        "{failures:?}"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_a_207_names_fail_alone_with_customer_ios_message() {
    let server = RedisServer::start();
    let receiver = Receiver::answering(|path, body| {
        let operations = operations(path, body);
        let bad = operations.iter().enumerate().filter(|(_, operation)| is_bad(operation));
        let errors: Vec<_> = bad
            .map(|(index, _)| json!({"batch_index": index, "reason": "invalid", "field": "name", "message": "is bad"}))
            .collect();
        if errors.is_empty() { accept() } else { (207, json!({"errors": errors}).to_string()) }
    })
    .await;
    let queue = queue(&server).await;
    add(
        &queue,
        [track("u", "bad", &json!({})), track("v", "bad", &json!({}))],
    )
    .await;
    add(&queue, many(30, 10)).await;
    let worker = Running::start(settings(&server, &receiver, Mode::Batch)).await;

    assert_eq!(all_finished(&queue, 32).await, (30, 2));
    let sentence = "Customer.io answered 207: name: is bad".to_owned();
    assert_eq!(
        failures(&queue).await,
        [(sentence.clone(), 1), (sentence, 1)]
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_is_split_until_the_bad_one_is_alone() {
    let server = RedisServer::start();
    let receiver = Receiver::answering(|path, body| {
        if operations(path, body).iter().any(is_bad) {
            (400, json!({"errors": [{"message": "is bad"}]}).to_string())
        } else {
            accept()
        }
    })
    .await;
    let queue = queue(&server).await;
    add(&queue, many(20, 20)).await;
    add(&queue, [track("u", "bad", &json!({}))]).await;
    add(&queue, many(20, 20)).await;
    let worker = Running::start(settings(&server, &receiver, Mode::Batch)).await;

    assert_eq!(all_finished(&queue, 41).await, (40, 1));
    assert_eq!(
        failures(&queue).await,
        [("Customer.io answered 400: is bad".to_owned(), 1)]
    );
    assert_eq!(
        receiver.event_ids().iter().collect::<HashSet<_>>().len(),
        40
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_costs_no_attempt_and_delivers_once() {
    let server = RedisServer::start();
    let mut answers = [503, 429, 500].into_iter();
    let receiver = Receiver::answering(move |_, _| match answers.next() {
        Some(status) => (status, String::new()),
        None => accept(),
    })
    .await;
    let queue = queue(&server).await;
    add(&queue, many(5, 1)).await;
    let worker = Running::start(settings(&server, &receiver, Mode::Batch)).await;

    assert_eq!(all_finished(&queue, 5).await, (5, 0));
    let completed = queue.get_completed(0, -1).await.expect("completed jobs");
    assert!(completed.iter().all(|job| job.attempts_made() == 1));
    assert_eq!(receiver.event_ids().len(), 5);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_status_uses_the_jobs_attempts_and_then_it_is_kept_as_failed() {
    let server = RedisServer::start();
    let receiver = Receiver::answering(|_, _| (404, "no such page".to_owned())).await;
    let queue = queue(&server).await;
    add(&queue, many(1, 1)).await;
    let worker = Running::start(settings(&server, &receiver, Mode::Single)).await;

    assert_eq!(all_finished(&queue, 1).await, (0, 1));
    let sentence = "Customer.io answered 404: no such page".to_owned();
    assert_eq!(failures(&queue).await, [(sentence, 5)]);
    assert_eq!(receiver.count(), 5);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_stop_the_taking_of_jobs_and_use_no_attempt() {
    for mode in [Mode::Batch, Mode::Single] {
        let server = RedisServer::start();
        let receiver = Receiver::answering(|_, _| (401, String::new())).await;
        let queue = queue(&server).await;
        add(&queue, many(100, 100)).await;
        let worker = Running::start(settings(&server, &receiver, mode)).await;

        // Some probes, each of one request.
        eventually("the worker to probe", async || {
            (receiver.count() > 14).then_some(())
        })
        .await;
        let (waiting, active, completed, failed) = counts(&queue).await;
        assert_eq!(
            (waiting + active, completed, failed),
            (100, 0, 0),
            "{mode:?}"
        );

        receiver.answer(|_, _| accept());
        assert_eq!(all_finished(&queue, 100).await, (100, 0), "{mode:?}");
        let completed = queue.get_completed(0, -1).await.expect("completed jobs");
        assert!(
            completed.iter().all(|job| job.attempts_made() == 1),
            "{mode:?}"
        );
        worker.stop().await;
    }
}
