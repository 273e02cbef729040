//! A Redis whose memory is full: jobs stay as they are, and locks are kept.

use std::sync::Arc;
use std::time::Duration;

use cio_operator::queue::connection::Redis;
use cio_operator::queue::jobs::exchange::{JobQueue, Room};
use cio_operator::queue::jobs::finish::Retention;
use cio_operator::queue::jobs::locks::Locks;
use cio_operator::queue::names::QueueKeys;
use cio_operator::queue::source::RedisSource;
use redis::{AsyncCommands, cmd};

use crate::support::redis::RedisServer;

const LOCK: Duration = Duration::from_secs(30);
const ONE: Room = Room {
    jobs: 10,
    bytes: 1_000,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_fails_no_job_and_takes_no_lock_away() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    for id in ["1", "2", "3"] {
        let fields = [
            ("name", "track"),
            ("data", "{}"),
            ("opts", r#"{"attempts":5}"#),
        ];
        let _: () = raw
            .hset_multiple(format!("bull:q:{id}"), &fields)
            .await
            .unwrap();
    }
    let _: () = raw.lpush("bull:q:wait", "1").await.unwrap();
    let source = RedisSource::fixed(server.url().parse().unwrap());
    let redis = Redis::new(source);
    let keys = QueueKeys::new(&"bull".parse().unwrap(), &"q".parse().unwrap());
    let kept = Retention {
        completed: 10,
        failed: 10,
    };
    let queue = JobQueue::new(redis.clone(), keys.clone(), LOCK, kept);
    let token: Arc<str> = "worker:1".into();
    let first = queue.exchange(&[], ONE, &token).await.unwrap();
    assert_eq!(first.jobs.len(), 1);
    for id in ["2", "3"] {
        let _: () = raw.zadd("bull:q:delayed", id, 4096).await.unwrap();
    }
    let mut limit = cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("1");
    let _: () = limit.query_async(&mut raw).await.unwrap();

    let locks = Locks::new(redis, keys);
    let mine = [("1".to_owned(), Arc::clone(&token))];
    assert!(locks.extend(&mine, LOCK).await.unwrap().is_empty());
    // Whether it is refused or goes through: no job fails for it, and none is lost.
    queue.exchange(&[], ONE, &token).await.ok();

    let failed: u64 = raw.zcard("bull:q:failed").await.unwrap();
    let delayed: u64 = raw.zcard("bull:q:delayed").await.unwrap();
    let waiting: u64 = raw.llen("bull:q:wait").await.unwrap();
    let active: u64 = raw.llen("bull:q:active").await.unwrap();
    assert_eq!((failed, delayed + waiting + active), (0, 3));
}
