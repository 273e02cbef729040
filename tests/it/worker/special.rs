//! Jobs that BullMQ's own loop takes, when Redis is not where it was, and while nothing can be delivered.

use std::collections::HashMap;
use std::time::Duration;

use bullmq::options::DeduplicationOptions;
use bullmq::{BulkJob, JobOptions, Queue};
use cio_operator::delivery::Mode;
use cio_operator::queue::source::RedisSource;
use serde_json::json;
use tokio::time::sleep;

use super::bench::{QUEUE, Running, add, all_finished, many, queue, settings, track};
use super::circuit::circuit_open;
use super::receiver::{Receiver, accept};
use crate::support::eventually;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_they_are_taken_from_the_new_redis() {
    let (mut old, new) = (RedisServer::start(), RedisServer::start());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, old.url()).unwrap();
    let receiver = Receiver::start().await;
    let mut settings = settings(&old, &receiver, Mode::Batch);
    settings.redis = RedisSource::file(file.clone());
    settings.locks.duration = Duration::from_secs(1);
    settings.locks.stalled_interval = Duration::from_millis(500);
    let worker = Running::start(settings).await;

    let before = queue(&old).await;
    add_deduplicated(&before, "first").await;
    assert_eq!(all_finished(&before, 1).await, (1, 0));

    let after = queue(&new).await;
    add_deduplicated(&after, "second").await;
    add(&after, many(10, 2)).await;
    old.kill();
    std::fs::write(&file, new.url()).unwrap();
    assert_eq!(all_finished(&after, 11).await, (11, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_outage_one_is_tried_now_and_then_and_the_others_stay_where_they_are() {
    let server = RedisServer::start();
    let receiver = Receiver::answering(|_, _| (503, String::new())).await;
    let queue = queue(&server).await;
    for n in 0..100 {
        add_deduplicated(&queue, &n.to_string()).await;
    }
    let mut settings = settings(&server, &receiver, Mode::Single);
    settings.hold = Duration::from_secs(3);
    let worker = Running::start(settings).await;
    eventually("the circuit to open", async || {
        circuit_open(&worker).await.then_some(())
    })
    .await;
    // What was under way is over.
    sleep(Duration::from_secs(2)).await;
    let (before, taken) = (receiver.count(), taken(&server).await);
    let probes = eventually("three more", async || {
        let probes = receiver.count() - before;
        (probes >= 3).then_some(probes)
    })
    .await;
    let since = self::taken(&server).await - taken;
    assert!(
        since <= 3 * probes,
        "{since} jobs taken for {probes} probes"
    );
    receiver.answer(|_, _| accept());
    assert_eq!(all_finished(&queue, 100).await, (100, 0));
    worker.stop().await;
}

/// How often a job was taken, by the queue's events.
async fn taken(server: &RedisServer) -> usize {
    let client = redis::Client::open(server.url()).expect("an address");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let events: Vec<(String, HashMap<String, String>)> = redis::cmd("XRANGE")
        .arg(format!("bull:{QUEUE}:events"))
        .arg("-")
        .arg("+")
        .query_async(&mut connection)
        .await
        .expect("events");
    let active = |fields: &HashMap<String, String>| fields["event"] == "active";
    events.iter().filter(|(_, fields)| active(fields)).count()
}

async fn add_deduplicated(queue: &Queue, id: &str) {
    let (name, data) = track("user", id, &json!({}));
    let options = JobOptions {
        deduplication: Some(DeduplicationOptions {
            id: id.to_owned(),
            ttl: None,
            extend: None,
            replace: None,
            keep_last_if_active: None,
        }),
        ..JobOptions::default()
    };
    let job = BulkJob::with_options(name, data, options);
    queue.add_bulk(vec![job]).await.expect("a job");
}
