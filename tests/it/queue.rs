//! The queue's counts against BullMQ's own, on a real Redis.

use cio_operator::queue::bullmq_options::bullmq_options;
use cio_operator::queue::connection::Redis;
use cio_operator::queue::counts::{CountsReader, QueueCounts, depth};
use cio_operator::queue::names::QueueKeys;
use cio_operator::queue::source::RedisSource;
use serde_json::{Value, json};

use crate::interop::peer::Peer;
use crate::support::node;
use crate::support::redis::{RedisServer, free_port};

const QUEUE: &str = "cio-events";

#[tokio::test(flavor = "multi_thread")]
async fn counts_equal_bullmqs_own_in_every_state_of_both_majors_paused_or_not() {
    let server = RedisServer::start();
    for (major, mode) in [
        ("5", "running"),
        ("5", "paused"),
        ("6", "running"),
        ("6", "paused"),
    ] {
        let queue = format!("{QUEUE}-{major}-{mode}");
        let theirs = node::run("counts.mjs", &[major, &queue, mode], &server.url()).await;
        let ours = reader(&server.url(), &queue).read().await.unwrap();
        let case = format!("BullMQ {major}, {mode}: {theirs}");

        for (state, count) in theirs["counts"].as_object().unwrap() {
            assert_eq!(count, &by_state(&ours, state), "{state} of {case}");
        }
        assert_eq!(theirs["isPaused"], json!(ours.is_paused), "{case}");
        assert_eq!(
            theirs["waitingCount"],
            json!(ours.waiting + ours.paused),
            "{case}"
        );
        assert_eq!(theirs["delayedDue"], json!(ours.delayed_due), "{case}");
        assert_eq!(
            theirs["oldest"],
            json!(ours.oldest_waiting_timestamp_ms),
            "{case}"
        );
        let mut python = Peer::start_on("python", &server.url(), &queue).await;
        let counts = python.call("queue.getJobCounts", json!([])).await;
        for (state, count) in counts.as_object().unwrap() {
            assert_eq!(
                count,
                &by_state(&ours, state),
                "{state} of Python's, {case}"
            );
        }
        let is_paused = python.call("queue.isPaused", json!([])).await;
        assert_eq!(is_paused, json!(ours.is_paused), "Python's, {case}");
        // 5 waiting, 2 prioritized, 3 due, 2 active; nothing but the active ones while paused.
        assert_eq!(
            depth(&ours),
            if mode == "paused" { 2 } else { 12 },
            "{case}"
        );
        assert_eq!((ours.completed_total, ours.failed_total), (3, 2), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_producer_adds_jobs_as_the_guide_does() {
    let server = RedisServer::start();
    let summary = node::produce(&["--count", "2501", "--users", "7"], &server.url()).await;
    assert_eq!(summary["jobs"], 2501);
    let counts = reader(&server.url(), QUEUE).read().await.unwrap();
    assert_eq!((counts.waiting, depth(&counts)), (2501, 2501));

    let expected_options = json!({
        "attempts": 5,
        "backoff": {"type": "exponential", "delay": 2000},
        "removeOnComplete": {"count": 10_000},
        "removeOnFail": {"count": 50_000},
    });
    for (id, name, user, data) in [
        (
            "1",
            "identify",
            "user-0",
            json!({"email": "user-0@example.com", "plan": "free"}),
        ),
        (
            "4",
            "track",
            "user-1",
            json!({"name": "order_placed", "data": {"order_id": 3, "total": 3.99}}),
        ),
    ] {
        let key = format!("bull:cio-events:{id}");
        let row: Vec<String> = server.ask(&["HMGET", &key, "name", "opts", "data"]).await;
        let [job, options] =
            [&row[2], &row[1]].map(|text| serde_json::from_str::<Value>(text).unwrap());
        assert_eq!((row[0].as_str(), options), (name, expected_options.clone()));
        assert_eq!((&job["userId"], &job["data"]), (&json!(user), &data));
        assert!(
            job["enqueuedAt"].as_u64() > Some(1_700_000_000_000),
            "{job}"
        );
    }
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_empty() {
    let server = RedisServer::start();
    let counts = reader(&server.url(), QUEUE).read().await.unwrap();
    let redis_time_ms = counts.redis_time_ms;
    assert!(redis_time_ms > 1_700_000_000_000);
    assert_eq!(
        counts,
        QueueCounts {
            redis_time_ms,
            ..QueueCounts::default()
        }
    );
}

#[tokio::test]
async fn a_marker_of_bullmq_4_is_not_a_job() {
    let server = RedisServer::start();
    server
        .ask::<()>(&["HSET", "bull:cio-events:7", "timestamp", "1000"])
        .await;
    server
        .ask::<()>(&["RPUSH", "bull:cio-events:wait", "7", "0:0"])
        .await;
    let counts = reader(&server.url(), QUEUE).read().await.unwrap();
    assert_eq!(
        (counts.waiting, counts.oldest_waiting_timestamp_ms),
        (1, Some(1000))
    );
}

#[tokio::test]
async fn the_connection_comes_back_after_redis_did() {
    let mut server = RedisServer::start();
    let reader = reader(&server.url(), QUEUE);
    reader.read().await.unwrap();
    server.kill();
    reader.read().await.unwrap_err();
    server.start_again();
    reader.read().await.unwrap();
}

#[tokio::test]
async fn a_rotated_password_is_read_at_the_next_connection() {
    let mut server = RedisServer::start_with(&["--requirepass", "new", "--save", ""]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let address = |user: &str| format!("redis://{user}127.0.0.1:{}", server.port());
    let (none, old, new) = (address(""), address(":old@"), address(":new@"));

    let reader = CountsReader::new(Redis::new(RedisSource::file(file.clone())), keys(QUEUE));
    for (address, says) in [(none, "NOAUTH"), (old, "AuthenticationFailed")] {
        std::fs::write(&file, &address).unwrap();
        let error = reader.read().await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains(":old"), "{error}");
    }

    std::fs::write(&file, new).unwrap();
    reader.read().await.unwrap();
    server.start_again();
    reader.read().await.unwrap_err();
    reader.read().await.unwrap();
}

#[tokio::test]
async fn tls_trusts_the_mounted_certificate_authority_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("tls.crt"), own.cert.pem()).unwrap();
    std::fs::write(path("tls.key"), own.signing_key.serialize_pem()).unwrap();
    let port = free_port().to_string();
    let (certificate, key) = (path("tls.crt"), path("tls.key"));
    let _server = RedisServer::start_with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &certificate,
        "--tls-auth-clients",
        "no",
        "--save",
        "",
    ]);

    let source = |address: String| RedisSource::fixed(address.parse().unwrap());
    let trusting =
        source(format!("redis://localhost:{port}")).with_ca_file(Some(certificate.into()));
    CountsReader::new(Redis::new(trusting), keys(QUEUE))
        .read()
        .await
        .unwrap();
    let system = source(format!("rediss://localhost:{port}"));
    CountsReader::new(Redis::new(system), keys(QUEUE))
        .read()
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_sentinel_leads_to_the_master() {
    let server = RedisServer::start_with(&["--requirepass", "secret", "--save", ""]);
    let sentinel = sentinel_of(&server, "");
    let address = format!(
        "redis-sentinel://:secret@127.0.0.1:{}/main/1",
        sentinel.port()
    );
    let source = RedisSource::fixed(address.parse().unwrap());

    let options = bullmq_options(&source).await.unwrap();
    let master = format!("redis://:secret@127.0.0.1:{}/1", server.port());
    assert_eq!(options.effective_url(), master);
    CountsReader::new(Redis::new(source), keys(QUEUE))
        .read()
        .await
        .unwrap();

    let unknown = format!("redis-sentinel://127.0.0.1:{}/other", sentinel.port());
    let error = reader(&unknown, QUEUE)
        .read()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"other\""), "{error}");
}

#[tokio::test]
async fn a_sentinel_with_a_password_gets_that_of_the_address() {
    let server = RedisServer::start_with(&["--requirepass", "secret", "--save", ""]);
    let sentinel = sentinel_of(&server, "requirepass secret\n");
    let address = format!(
        "redis-sentinel://:secret@127.0.0.1:{}/main",
        sentinel.port()
    );
    reader(&address, QUEUE).read().await.unwrap();
}

#[tokio::test]
async fn a_cluster_answers_where_the_keys_have_a_hash_tag() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes", "--save", ""]);
    server
        .ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])
        .await;
    let address = server.url().replace("redis://", "redis-cluster://");
    let reader = reader(&address, "{cio}");
    crate::support::eventually("the cluster is up", async || reader.read().await.ok()).await;
    server.ask::<()>(&["LPUSH", "bull:{cio}:wait", "1"]).await;
    assert_eq!(reader.read().await.unwrap().waiting, 1);
}

fn reader(address: &str, queue: &str) -> CountsReader {
    let source = RedisSource::fixed(address.parse().unwrap());
    CountsReader::new(Redis::new(source), keys(queue))
}

fn keys(queue: &str) -> QueueKeys {
    QueueKeys::new(&"bull".parse().unwrap(), &queue.parse().unwrap())
}

/// A Sentinel that watches `server` under the name `main`.
fn sentinel_of(server: &RedisServer, more: &str) -> RedisServer {
    let port = server.port();
    RedisServer::start_sentinel(&format!(
        "sentinel monitor main 127.0.0.1 {port} 1\nsentinel auth-pass main secret\n{more}"
    ))
}

/// Our count of what BullMQ calls `state`.
fn by_state(counts: &QueueCounts, state: &str) -> Value {
    json!(match state {
        "waiting" => counts.waiting,
        "paused" => counts.paused,
        "prioritized" => counts.prioritized,
        "delayed" => counts.delayed,
        "active" => counts.active,
        "completed" => counts.completed,
        "failed" => counts.failed,
        "waiting-children" => counts.waiting_children,
        other => panic!("a state we do not know: {other}"),
    })
}
