//! What becomes of jobs while Customer.io is down, and of one that fails while it is not.

use std::collections::HashSet;
use std::time::Duration;

use bullmq::Queue;
use cio_operator::delivery::Mode;
use cio_operator::runtime::clock::Clock;
use cio_operator::runtime::http_server;
use cio_operator::simulator::{self, Options};
use cio_operator::worker::settings::WorkerSettings;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::bench::{
    Running, add_with_attempts, all_finished, counts, many, queue, settings, track,
};
use super::faults::failures;
use super::life::variables;
use super::receiver::{Answer, Receiver, accept, operations};
use crate::support::process::Cio;
use crate::support::redis::RedisServer;
use crate::support::{eventually, http};

const JOBS: usize = 300;

/// Longer than two attempts last; `CIO_TEST_OUTAGE_SECONDS` makes it longer.
fn outage() -> Duration {
    let given = std::env::var("CIO_TEST_OUTAGE_SECONDS").ok();
    Duration::from_secs(given.and_then(|it| it.parse().ok()).unwrap_or(5))
}

pub(super) async fn circuit_open(worker: &Running) -> bool {
    let (_, page) = http::get(&format!("{}/metrics", worker.address))
        .await
        .expect("an answer");
    page.lines()
        .any(|it| it.starts_with("cio_delivery_circuit_open{") && it.ends_with(" 1"))
}

/// Sits out an outage: nothing may fail or be delivered in it.
async fn sit_out(queue: &Queue, worker: &Running) {
    eventually("the circuit to open", async || {
        circuit_open(worker).await.then_some(())
    })
    .await;
    sleep(outage()).await;
    assert!(circuit_open(worker).await);
    let (waiting, active, completed, failed) = counts(queue).await;
    assert_eq!((completed, failed), (0, 0));
    assert_eq!(waiting + active, JOBS as u64);
    assert!(active <= 1, "{active} jobs are held");
}

/// Everything is delivered after an outage, once, and at its first attempt.
async fn all_is_well_again(queue: &Queue, worker: &Running, receiver: &Receiver) {
    assert_eq!(all_finished(queue, JOBS as u64).await, (JOBS as u64, 0));
    let completed = queue.get_completed(0, -1).await.expect("completed jobs");
    assert!(completed.iter().all(|job| job.attempts_made() == 1));
    let ids = receiver.event_ids();
    assert_eq!(ids.len(), JOBS);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), JOBS);
    assert!(!circuit_open(worker).await);
}

fn patient(server: &RedisServer, receiver: &Receiver, mode: Mode) -> WorkerSettings {
    WorkerSettings {
        hold: Duration::from_secs(3),
        ..settings(server, receiver, mode)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_uses_no_attempt_and_the_worker_goes_on_by_itself() {
    for mode in [Mode::Batch, Mode::Single] {
        let server = RedisServer::start();
        let receiver = Receiver::answering(|_, _| (503, String::new())).await;
        let queue = queue(&server).await;
        add_with_attempts(&queue, 2, many(JOBS, 50)).await;
        let worker = Running::start(patient(&server, &receiver, mode)).await;

        sit_out(&queue, &worker).await;
        // At most four sends of each request that was under way, then a probe now and then.
        let probes = 10 + outage().as_secs();
        let sent = receiver.count() as u64;
        assert!(sent <= 4 * 10 + probes, "{sent} requests");
        receiver.answer(|_, _| accept());
        all_is_well_again(&queue, &worker, &receiver).await;
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_an_outage_too() {
    for mode in [Mode::Batch, Mode::Single] {
        let server = RedisServer::start();
        // The port is free again when the listener has gone.
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        drop(listener);
        let elsewhere = Receiver::start().await;
        let queue = queue(&server).await;
        add_with_attempts(&queue, 2, many(JOBS, 50)).await;
        let mut settings = patient(&server, &elsewhere, mode);
        settings.delivery.endpoint = format!("http://{address}").parse().expect("an endpoint");
        let worker = Running::start(settings).await;

        sit_out(&queue, &worker).await;
        let receiver = Receiver::answering_at(&address, |_, _| accept()).await;
        all_is_well_again(&queue, &worker, &receiver).await;
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_said_once_when_it_begins_and_once_when_it_ends() {
    let server = RedisServer::start();
    let receiver = Receiver::answering(|_, _| (500, String::new())).await;
    let (url, queue) = (server.url(), queue(&server).await);
    add_with_attempts(&queue, 1, many(5, 5)).await;
    let worker = Cio::start(&["worker"], &variables(&url, &receiver));
    // The sends of the first request, and two probes.
    eventually("probes", async || (receiver.count() >= 6).then_some(())).await;
    receiver.answer(|_, _| accept());
    assert_eq!(all_finished(&queue, 5).await, (5, 0));
    let (code, log) = worker.terminate();

    assert_eq!(code, Some(0), "{log}");
    for said in ["Customer.io is down", "Customer.io takes requests again"] {
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
    }
    assert!(!log.contains("user-"), "{log}");
}

/// Answers with `status` whatever holds something of one user.
fn poisoned(status: u16) -> impl FnMut(&str, &Value) -> Answer + Send + 'static {
    move |path, body| {
        let operations = operations(path, body);
        let bad = operations
            .iter()
            .any(|it| it["name"] == "poison" || it["identifiers"]["id"] == "poison");
        if bad {
            (status, "no".to_owned())
        } else {
            accept()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_always_fails_uses_its_own_attempts_and_stops_nobody() {
    for (mode, status) in [
        (Mode::Batch, 503),
        (Mode::Single, 503),
        (Mode::Batch, 403),
        (Mode::Single, 403),
    ] {
        let server = RedisServer::start();
        let receiver = Receiver::answering(poisoned(status)).await;
        let queue = queue(&server).await;
        let poison = || track("poison", "poison", &json!({}));
        add_with_attempts(&queue, 2, [poison(), poison()]).await;
        add_with_attempts(&queue, 2, many(JOBS, 50)).await;
        let worker = Running::start(settings(&server, &receiver, mode)).await;

        // Others come all the time.
        let mut others = JOBS as u64;
        eventually("the bad jobs to fail", async || {
            add_with_attempts(&queue, 2, many(1, 1)).await;
            others += 1;
            (counts(&queue).await.3 >= 2).then_some(())
        })
        .await;
        assert_eq!(all_finished(&queue, others + 2).await, (others, 2));
        let sentence = format!("Customer.io answered {status}: no");
        let expected = [(sentence.clone(), 2), (sentence, 2)];
        assert_eq!(failures(&queue).await, expected, "{mode:?}");
        let completed = queue.get_completed(0, -1).await.expect("completed jobs");
        assert!(completed.iter().all(|job| job.attempts_made() == 1));
        assert_eq!(receiver.event_ids().len() as u64, others);
        assert!(!circuit_open(&worker).await);
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_after_a_job_that_always_fails_is_delivered() {
    for mode in [Mode::Batch, Mode::Single] {
        let server = RedisServer::start();
        let receiver = Receiver::answering(poisoned(403)).await;
        let queue = queue(&server).await;
        let poison = || track("poison", "poison", &json!({}));
        add_with_attempts(&queue, 50, (0..200).map(|_| poison())).await;
        let worker = Running::start(settings(&server, &receiver, mode)).await;
        eventually("the circuit to open", async || {
            circuit_open(&worker).await.then_some(())
        })
        .await;

        add_with_attempts(&queue, 2, many(20, 20)).await;
        eventually("the others to be delivered", async || {
            (counts(&queue).await.2 == 20).then_some(())
        })
        .await;
        assert_eq!(receiver.event_ids().len(), 20);
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_faults_of_the_simulator_every_event_is_stored_once() {
    for (mode, faults) in [
        // Down for so many requests.
        (Mode::Batch, json!([{"status": 503, "times": 25}])),
        (Mode::Single, json!([{"status": 503, "times": 25}])),
        // Up, with faults now and then.
        (
            Mode::Single,
            json!([{"status": 403, "share": 0.03}, {"status": 503, "share": 0.3}]),
        ),
    ] {
        let (server, elsewhere) = (RedisServer::start(), Receiver::start().await);
        let options = Options {
            faults: serde_json::from_value(faults).expect("rules"),
            ..Options::default()
        };
        let router = simulator::router(options, Clock::system(), &Registry::new());
        let listener = http_server::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let simulator = http_server::serve(listener, router.expect("a router"), stop.clone());
        let simulator = tokio::spawn(simulator);
        let queue = queue(&server).await;
        add_with_attempts(&queue, 5, many(JOBS, 50)).await;
        let mut settings = settings(&server, &elsewhere, mode);
        settings.delivery.endpoint = url.parse().expect("an endpoint");
        let worker = Running::start(settings).await;

        assert_eq!(all_finished(&queue, JOBS as u64).await, (JOBS as u64, 0));
        let (_, state) = http::get(&format!("{url}/_sim/state"))
            .await
            .expect("an answer");
        let state: Value = serde_json::from_str(&state).expect("JSON");
        assert_eq!(
            (&state["events"], &state["duplicates"]),
            (&json!(JOBS), &json!(0))
        );
        worker.stop().await;
        stop.cancel();
        simulator.await.expect("no panic").expect("a clean end");
    }
}
