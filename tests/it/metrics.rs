//! The sidecar on a real Redis.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cio_operator::delivery::circuit::Circumstance;
use cio_operator::delivery::client::Region;
use cio_operator::delivery::credentials::Credentials;
use cio_operator::delivery::limiter::usage::UsageReader;
use cio_operator::delivery::limiter::{Announcer, Limiter, limit_key};
use cio_operator::delivery::metrics::LimitMetrics;
use cio_operator::delivery::site_id::SiteId;
use cio_operator::metrics::{LimitSource, Sidecar, Timing};
use cio_operator::queue::connection::Redis;
use cio_operator::queue::counts::CountsReader;
use cio_operator::queue::names::{QueueKeys, QueueName};
use cio_operator::queue::source::RedisSource;
use cio_operator::runtime::clock::Clock;
use cio_operator::runtime::run_script::RunScript;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use crate::support::process::{self, Cio};
use crate::support::redis::{RedisServer, free_port};
use crate::support::{eventually, http, node};

const QUEUE: &str = "cio-events";
const DEPTH: &str = "cio_queue_depth{pipeline=\"events\",queue=\"cio-events\"}";
const RATE: &str = "cio_limit_requests_per_second{pipeline=\"events\",queue=\"cio-events\"}";
const USED: &str = "cio_limit_used_ratio{pipeline=\"events\",queue=\"cio-events\"}";
/// As the workers of the sidecar's queue announce their circuit.
const OURS: &str = "bull:cio-events:";
const OPEN: &str = "cio_limit_circuit_open{pipeline=\"events\",queue=\"cio-events\"}";
const ERRORS: &str = "cio_queue_scrape_errors_total{pipeline=\"events\",queue=\"cio-events\"}";
const READ: &str = "cio_queue_read_timestamp_seconds{pipeline=\"events\",queue=\"cio-events\"}";

#[tokio::test(flavor = "multi_thread")]
async fn the_text_has_the_depth_and_all_that_bullmqs_own_exporter_says() {
    for major in ["5", "6"] {
        let server = RedisServer::start();
        let theirs = node::run("counts.mjs", &[major, QUEUE, "running"], &server.url()).await;
        let (address, _stop) = sidecar(&server.url(), Duration::from_secs(30)).await;
        let text = page_with(&address, DEPTH).await;

        assert_eq!(sample(&text, DEPTH), Some(12.0), "{text}");
        assert!(text.contains("cio_queue_oldest_job_age_seconds{"), "{text}");
        let exported = theirs["exported"].as_str().unwrap();
        let mut compared = 0;
        for line in exported.lines().filter(|line| line.starts_with("bullmq_")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let series = series.replace(", ", ",");
            assert_eq!(
                sample(&text, &series),
                value.parse().ok(),
                "{series} in {text}"
            );
            compared += 1;
        }
        assert!(compared >= 9, "{exported}");
        promtool_accepts(&text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workspaces_limit_is_shown_with_how_much_of_it_is_used_and_whether_anything_is_sent() {
    let server = RedisServer::start();
    let (store, address, _stop) = beside_our_worker(&server).await;
    let text = page_with(&address, USED).await;
    assert_eq!(sample(&text, RATE), Some(80.0), "nobody sends: {text}");
    assert_eq!(sample(&text, USED), Some(0.0), "{text}");
    assert_eq!(sample(&text, OPEN), Some(0.0), "{text}");
    promtool_accepts(&text);

    // Two workers take every turn there is, and one of them is set lower.
    let senders = [60, 40].map(|rate| {
        let limiter = limiter(&store, rate);
        tokio::spawn(async move {
            loop {
                limiter.turn(100).await;
            }
        })
    });
    let text = shown(&address, "used up", |text| sample(text, USED) >= Some(0.9)).await;
    assert_eq!(sample(&text, RATE), Some(40.0), "{text}");
    limiter(&store, 40).throttled(None).await;
    shown(&address, "lowered", |text| sample(text, RATE) == Some(28.0)).await;
    limiter(&store, 40)
        .throttled(Some(Duration::from_mins(1)))
        .await;
    senders.iter().for_each(tokio::task::JoinHandle::abort);
    shown(&address, "a wait", |text| sample(text, USED) == Some(1.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_sends_nothing_says_so_to_its_own_pipeline_until_it_sends_again() {
    let server = RedisServer::start();
    let (store, address, _stop) = beside_our_worker(&server).await;
    let (circuit, circumstance) = watch::channel(Circumstance::Deliverable);
    let announcer = Announcer {
        store: Arc::clone(&store),
        region: Region::Us,
        credentials: credentials(),
        whose: OURS.to_owned(),
    };
    // Another pipeline of the workspace, with a key that is refused.
    let (their_circuit, their_circumstance) = watch::channel(Circumstance::Deliverable);
    let theirs = Announcer {
        store: Arc::clone(&announcer.store),
        region: Region::Us,
        credentials: credentials(),
        whose: "bull:others:".to_owned(),
    };
    tokio::spawn(announcer.run(circumstance));
    let their_word = tokio::spawn(theirs.run(their_circumstance));
    their_circuit.send_replace(Circumstance::Down(Duration::from_secs(1)));
    drop(their_circuit);
    their_word.await.unwrap();
    shown(&address, "closed", |text| sample(text, OPEN) == Some(0.0)).await;
    let reader = UsageReader::default();
    let key = limit_key(Region::Us, "site");
    let told = reader.read(store.as_ref(), &key, "bull:others:").await;
    assert!(told.unwrap().circuit_open, "theirs was told");
    let ours = reader.read(store.as_ref(), &key, OURS).await;
    assert!(!ours.unwrap().circuit_open, "ours is no news");
    circuit.send_replace(Circumstance::Down(Duration::from_secs(1)));
    shown(&address, "open", |text| sample(text, OPEN) == Some(1.0)).await;
    circuit.send_replace(Circumstance::Probing);
    circuit.send_replace(Circumstance::Deliverable);
    shown(&address, "closed again", |text| {
        sample(text, OPEN) == Some(0.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_another_worker_nothing_is_said_of_the_limit() {
    let server = RedisServer::start();
    let (address, _stop) = sidecar(&server.url(), Duration::from_secs(30)).await;
    let text = page_with(&address, DEPTH).await;
    assert!(!text.contains("cio_limit_"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_depth_is_absent_and_comes_back_by_itself() {
    let mut server = RedisServer::start();
    let (address, _stop) = sidecar(&server.url(), Duration::from_millis(300)).await;
    let text = page_with(&address, DEPTH).await;
    assert_eq!(
        (sample(&text, DEPTH), sample(&text, ERRORS)),
        (Some(0.0), Some(0.0))
    );

    server.kill();
    let text = eventually("the depth is gone", async || {
        let (_, text) = http::get(&format!("{address}/metrics")).await?;
        sample(&text, DEPTH).is_none().then_some(text)
    })
    .await;
    assert!(!text.contains("bullmq_job_count"), "{text}");
    assert!(sample(&text, READ) > Some(1.7e9), "{text}");
    assert!(sample(&text, ERRORS) >= Some(1.0), "{text}");
    assert_eq!(
        http::get(&format!("{address}/readyz")).await.unwrap().0,
        200
    );

    server.start_again();
    let text = page_with(&address, DEPTH).await;
    assert_eq!(sample(&text, DEPTH), Some(0.0), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_ready_without_redis_warns_once_and_ends_with_0_at_sigterm() {
    let mut server = RedisServer::start();
    server.kill();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, server.url()).unwrap();
    let port = free_port().to_string();
    let cio = Cio::start(
        &["metrics", "--interval", "0.1"],
        &[
            ("REDIS_URL", "redis://nobody.invalid"),
            ("CIO_REDIS_URL_FILE", file.to_str().unwrap()),
            ("CIO_METRICS_PORT", &port),
            ("CIO_PIPELINE", "events"),
        ],
    );
    let address = format!("http://127.0.0.1:{port}");
    eventually("three failed readings", async || {
        let (_, text) = http::get(&format!("{address}/metrics")).await?;
        (sample(&text, ERRORS) >= Some(3.0)).then_some(())
    })
    .await;
    assert_eq!(
        http::get(&format!("{address}/readyz")).await.unwrap().0,
        200
    );
    server.start_again();
    page_with(&address, DEPTH).await;

    let (code, log) = cio.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("failed to read the queue").count(), 1, "{log}");
    assert_eq!(log.matches("reading the queue again").count(), 1, "{log}");
}

#[test]
fn wrong_settings_are_usage_errors_that_say_what_to_write() {
    for (variable, value, says) in [
        ("CIO_QUEUE", "cio:events", "\"cio-events\""),
        ("REDIS_URL", "http://:geheim@redis", "redis://redis:6379"),
        ("REDIS_URL", "redis-cluster://a:7000", "{bull}"),
        ("CIO_METRICS_INTERVAL", "60", "from 0.1 to 15"),
    ] {
        let (code, error) = process::run(&["metrics"], &[(variable, value)]);
        assert_eq!(code, Some(2), "{variable}={value}: {error}");
        assert!(error.contains(says), "{variable}={value}: {error}");
        assert!(!error.contains("geheim"), "{error}");
    }
}

async fn sidecar(redis_url: &str, stale_after: Duration) -> (String, DropGuard) {
    sidecar_with(redis_url, stale_after, None).await
}

async fn sidecar_with(
    redis_url: &str,
    stale_after: Duration,
    limit: Option<LimitSource>,
) -> (String, DropGuard) {
    let queue: QueueName = QUEUE.parse().unwrap();
    let source = RedisSource::fixed(redis_url.parse().unwrap());
    let keys = QueueKeys::new(&"bull".parse().unwrap(), &queue);
    let sidecar = Sidecar {
        reader: CountsReader::new(Redis::new(source), keys),
        limit,
        pipeline: "events".to_owned(),
        queue,
        timing: Timing {
            interval: Duration::from_millis(50),
            stale_after,
            ..Timing::default()
        },
        clock: Clock::system(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(sidecar.run(listener, stop.clone()));
    (address, stop.drop_guard())
}

/// Where the limit is kept, and a sidecar that shows it.
async fn beside_our_worker(server: &RedisServer) -> (Arc<dyn RunScript>, String, DropGuard) {
    let source = RedisSource::fixed(server.url().parse().unwrap());
    let store: Arc<dyn RunScript> = Arc::new(Redis::new(source));
    let limit = LimitSource {
        store: Arc::clone(&store),
        region: Region::Us,
        site_id: SiteId::Fixed("site".to_owned()),
        whose: OURS.to_owned(),
        requests_per_second: 80,
    };
    let (address, stop) = sidecar_with(&server.url(), Duration::from_secs(30), Some(limit)).await;
    (store, address, stop)
}

fn credentials() -> watch::Receiver<Arc<Credentials>> {
    let credentials = Credentials::new(Some("site"), Some("key")).unwrap();
    watch::channel(Arc::new(credentials)).1
}

/// A worker's share in the limit.
fn limiter(store: &Arc<dyn RunScript>, rate: u32) -> Limiter {
    let metrics = LimitMetrics::new(&Registry::new()).unwrap();
    Limiter::new(Arc::clone(store), Region::Us, credentials(), rate, metrics)
}

/// The metrics as soon as they are as they should.
async fn shown(address: &str, what: &str, right: impl Fn(&str) -> bool) -> String {
    eventually(what, async || {
        let (_, text) = http::get(&format!("{address}/metrics")).await?;
        right(&text).then_some(text)
    })
    .await
}

/// The metrics as soon as they have `series`.
async fn page_with(address: &str, series: &str) -> String {
    eventually(series, async || {
        let (_, text) = http::get(&format!("{address}/metrics")).await?;
        sample(&text, series).map(|_| text)
    })
    .await
}

fn sample(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn promtool_accepts(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is missing: run `apt-get install prometheus`");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
}
