//! Jobs that BullMQ's own loop takes, when Redis is not where it was.

use std::time::Duration;

use bullmq::options::DeduplicationOptions;
use bullmq::{BulkJob, JobOptions, Queue};
use cio_operator::delivery::Mode;
use cio_operator::queue::source::RedisSource;
use serde_json::json;

use super::bench::{Running, add, all_finished, many, queue, settings, track};
use super::receiver::Receiver;
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
