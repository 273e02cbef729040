//! What becomes of jobs when Customer.io refuses, fails, or is not there.

use std::collections::HashSet;
use std::time::Duration;

use bullmq::{Job, Queue};
use cio_operator::delivery::Mode;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::bench::{
    Running, add, add_with_attempts, all_finished, counts, many, queue, settings, track,
};
use super::receiver::{Receiver, accept, operations};
use crate::support::redis::{RedisServer, free_port};
use crate::support::{eventually, http};

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
async fn an_address_where_nobody_knows_the_calls_fails_no_backlog() {
    let page = "<html>The plain HTTP request was sent to HTTPS port";
    for (mode, status, body) in [
        (Mode::Batch, 404, "no such page"),
        (Mode::Single, 404, "no such page"),
        (Mode::Batch, 400, page),
        (Mode::Single, 400, page),
    ] {
        let server = RedisServer::start();
        let receiver = Receiver::answering(move |_, _| (status, body.to_owned())).await;
        let queue = queue(&server).await;
        add_with_attempts(&queue, 2, many(3_000, 3_000)).await;
        let worker = Running::start(settings(&server, &receiver, mode)).await;

        // Each request that was under way, and some probes.
        let probes = receiver_probes(&receiver).await;
        let (_, _, completed, failed) = counts(&queue).await;
        assert_eq!((completed, failed), (0, 0), "{mode:?} after {probes}");
        let delayed = queue.get_delayed(0, -1).await.expect("delayed jobs");
        let attempts: u32 = delayed.iter().map(Job::attempts_made).sum();
        assert!(attempts <= 20, "{mode:?} {status}: {attempts} attempts");
        receiver.answer(|_, _| accept());
        assert_eq!(all_finished(&queue, 3_000).await, (3_000, 0), "{mode:?}");
        assert_eq!(receiver.event_ids().len(), 3_000, "{mode:?}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_and_one_outage_use_no_attempt_where_others_succeed() {
    let server = RedisServer::start();
    let mut bad = [429, 429, 429, 503].into_iter();
    let receiver = Receiver::answering(move |path, _| {
        let status = path.contains("unlucky").then(|| bad.next()).flatten();
        status.map_or_else(accept, |status| (status, String::new()))
    })
    .await;
    let queue = queue(&server).await;
    add(&queue, [track("unlucky", "bought", &json!({}))]).await;
    let worker = Running::start(settings(&server, &receiver, Mode::Single)).await;
    // Others succeed meanwhile.
    let mut others = 0;
    eventually("the fifth request", async || {
        let other = format!("user-{others}");
        add(&queue, [track(&other, "bought", &json!({}))]).await;
        others += 1;
        sleep(Duration::from_millis(80)).await;
        let arrivals = receiver.arrivals();
        let unlucky = arrivals.iter().filter(|it| it.path.contains("unlucky"));
        (unlucky.count() == 5).then_some(())
    })
    .await;
    assert_eq!(all_finished(&queue, others + 1).await, (others + 1, 0));
    let completed = queue.get_completed(0, -1).await.expect("completed jobs");
    let attempts: Vec<_> = completed.iter().map(Job::attempts_made).collect();
    assert!(attempts.iter().all(|made| *made == 1), "{attempts:?}");
    worker.stop().await;
}

/// Waits until requests come only now and then; how many came.
async fn receiver_probes(receiver: &Receiver) -> usize {
    eventually("the circuit to open and to probe", async || {
        let arrivals = receiver.arrivals();
        let [.., first, second] = arrivals.as_slice() else {
            return None;
        };
        // Half of the first wait before a probe, in these settings.
        let apart = second.at.duration_since(first.at);
        (apart >= super::bench::HOLD / 60).then_some(arrivals.len())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_that_lasts_uses_no_attempt_however_few_there_are() {
    for mode in [Mode::Batch, Mode::Single] {
        let server = RedisServer::start();
        let receiver = Receiver::answering(|_, _| (429, String::new())).await;
        let queue = queue(&server).await;
        add_with_attempts(&queue, 2, many(50, 50)).await;
        let mut settings = settings(&server, &receiver, mode);
        // One request at a time is sent until it is given up, and so is the next.
        settings.delivery.max_concurrent = 1;
        let worker = Running::start(settings).await;
        eventually("several to be given up", async || {
            (receiver.count() > 4 * 3).then_some(())
        })
        .await;
        let (_, _, completed, failed) = counts(&queue).await;
        assert_eq!((completed, failed), (0, 0), "{mode:?}");

        receiver.answer(|_, _| accept());
        assert_eq!(all_finished(&queue, 50).await, (50, 0), "{mode:?}");
        let completed = queue.get_completed(0, -1).await.expect("completed jobs");
        assert!(completed.iter().all(|job| job.attempts_made() == 1));
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_many_megabytes_fails_with_a_sentence_and_is_never_read() {
    let server = RedisServer::start();
    let receiver = Receiver::start().await;
    let queue = queue(&server).await;
    let bytes = 32 * 1024 * 1024;
    add(
        &queue,
        [track("u", "huge", &json!({"x": "x".repeat(bytes)}))],
    )
    .await;
    add(&queue, many(10, 10)).await;
    let settings = settings(&server, &receiver, Mode::Batch);
    let worker = Running::start(settings).await;

    assert_eq!(all_finished(&queue, 11).await, (10, 1));
    let failures = failures(&queue).await;
    let [(reason, 1)] = failures.as_slice() else {
        panic!("{failures:?}");
    };
    assert!(reason.starts_with("the job's data has 335"), "{reason}");
    worker.stop().await;
    // What went out of Redis since it started, the failed job's own read above included once.
    let read = server.net_output_bytes().await;
    assert!(read < 2 * bytes as u64, "{read} bytes left Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_turn_is_spent_on_a_connection_that_cannot_be_opened() {
    let server = RedisServer::start();
    let receiver = Receiver::start().await;
    let queue = queue(&server).await;
    add(&queue, many(1, 1)).await;
    let mut settings = settings(&server, &receiver, Mode::Single);
    settings.delivery.requests_per_second = 80;
    settings.delivery.endpoint = format!("http://127.0.0.1:{}", free_port())
        .parse()
        .expect("an endpoint");
    let worker = Running::start(settings).await;
    let value = |page: &str, name: &str| -> u64 {
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|it| it.trim().parse().ok()).expect("a value")
    };
    eventually("several sends to fail", async || {
        let (_, page) = http::get(&format!("{}/metrics", worker.address)).await?;
        let sends = value(
            &page,
            "cio_delivery_requests_total{status_class=\"broken\"}",
        );
        let turns = value(&page, "cio_limit_wait_seconds_count");
        // The first turn of a request comes before it is known whether it can be sent.
        (sends >= 4).then(|| assert!(turns < sends, "{turns} turns for {sends} sends"))
    })
    .await;
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
