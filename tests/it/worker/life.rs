//! How a worker begins and ends, well or badly.

use std::collections::HashSet;
use std::time::Duration;

use cio_operator::delivery::Mode;
use tokio::time::sleep;

use super::bench::{QUEUE, Running, add, all_finished, counts, many, queue, settings};
use super::receiver::{Receiver, accept};
use crate::support::eventually;
use crate::support::process::{self, Cio};
use crate::support::redis::RedisServer;

pub(crate) fn variables<'a>(redis: &'a str, receiver: &'a Receiver) -> Vec<(&'a str, &'a str)> {
    vec![
        ("REDIS_URL", redis),
        ("CIO_QUEUE", QUEUE),
        ("CUSTOMERIO_SITE_ID", "site"),
        ("CUSTOMERIO_TRACK_API_KEY", "key"),
        ("CUSTOMERIO_TRACK_URL", &receiver.url),
        ("CIO_METRICS_PORT", "0"),
        ("CIO_LOCK_DURATION_MS", "1000"),
        ("CIO_STALLED_INTERVAL_MS", "500"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_killed_worker_are_delivered_by_another_and_recognised() {
    let server = RedisServer::start();
    let (url, receiver) = (server.url(), Receiver::start().await);
    let queue = queue(&server).await;
    add(&queue, many(3_000, 500)).await;
    // Slow enough to be killed in the middle, by the limit; its locks are short.
    let slow = [("CIO_REQUESTS_PER_SECOND", "10")];
    let variables = [variables(&url, &receiver), slow.to_vec()].concat();
    let first = Cio::start(&["worker"], &variables);
    eventually("jobs to be under way", async || {
        let (_, active, completed, _) = counts(&queue).await;
        (active > 100 && completed > 0).then_some(())
    })
    .await;
    // Dropping it kills it with SIGKILL.
    drop(first);
    let (_, left_active, completed, _) = counts(&queue).await;
    assert!(
        left_active > 0 && completed < 3_000,
        "{left_active} {completed}"
    );

    let second = Cio::start(&["worker"], &variables);
    assert_eq!(all_finished(&queue, 3_000).await, (3_000, 0));
    assert_eq!(
        receiver.event_ids().iter().collect::<HashSet<_>>().len(),
        3_000
    );
    let (code, log) = second.terminate();
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_in_flight_and_gives_the_rest_back() {
    let server = RedisServer::start();
    let (url, receiver) = (server.url(), Receiver::start().await);
    let queue = queue(&server).await;
    add(&queue, many(3_000, 500)).await;
    let slow = [
        ("CIO_REQUESTS_PER_SECOND", "5"),
        ("CIO_DELIVERY_MODE", "single"),
    ];
    let variables = [variables(&url, &receiver), slow.to_vec()].concat();
    let worker = Cio::start(&["worker"], &variables);
    eventually("jobs to be delivered", async || {
        (receiver.count() > 3).then_some(())
    })
    .await;
    let (code, log) = worker.terminate();

    assert_eq!(code, Some(0), "{log}");
    let (waiting, active, completed, failed) = counts(&queue).await;
    assert_eq!(
        (active, failed, waiting + completed),
        (0, 0, 3_000),
        "{log}"
    );
    assert_eq!(receiver.event_ids().len() as u64, completed, "{log}");
    let waiting = queue.get_waiting(0, -1).await.expect("waiting jobs");
    assert!(waiting.iter().all(|job| job.attempts_made() == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_not_there_yet_is_waited_for() {
    let mut server = RedisServer::start();
    server.kill();
    let receiver = Receiver::start().await;
    let worker = Running::start(settings(&server, &receiver, Mode::Batch)).await;
    sleep(Duration::from_millis(500)).await;
    server.start_again();
    let queue = queue(&server).await;
    add(&queue, many(10, 2)).await;
    assert_eq!(all_finished(&queue, 10).await, (10, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_goes_away_and_comes_back_loses_nothing() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let receiver = Receiver::answering(|_, _| accept()).await;
    let queue = queue(&server).await;
    add(&queue, many(2_000, 100)).await;
    let mut settings = settings(&server, &receiver, Mode::Single);
    settings.locks.duration = Duration::from_secs(1);
    settings.locks.stalled_interval = Duration::from_millis(500);
    let worker = Running::start(settings).await;
    eventually("jobs to be delivered", async || {
        (receiver.count() > 100).then_some(())
    })
    .await;
    server.kill();
    sleep(Duration::from_millis(500)).await;
    server.start_again();

    let queue = super::bench::queue(&server).await;
    let (_, failed) = all_finished(&queue, 2_000).await;
    assert_eq!(failed, 0);
    assert_eq!(
        receiver.event_ids().iter().collect::<HashSet<_>>().len(),
        2_000
    );
    worker.stop().await;
}

#[test]
fn missing_credentials_are_a_usage_error_that_names_them() {
    for (given, missing) in [
        ("CUSTOMERIO_TRACK_API_KEY", "CUSTOMERIO_SITE_ID"),
        ("CUSTOMERIO_SITE_ID", "CUSTOMERIO_TRACK_API_KEY"),
    ] {
        let (code, errors) = process::run(&["worker"], &[(given, "x")]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(missing), "{errors}");
    }
}
