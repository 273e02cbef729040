//! The Redis users of docs/redis.md: what they may suffices, and nothing else is asked for.

use cio_operator::delivery::Mode;
use cio_operator::queue::source::RedisSource;

use super::bench::{Running, all_finished, queue, settings};
use super::receiver::Receiver;
use crate::support::node::produce;
use crate::support::process::run;
use crate::support::redis::{RedisServer, documented_user};

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_users_may_do_what_producers_workers_and_people_do() {
    let server = RedisServer::start();
    for name in ["producer", "delivery"] {
        server
            .ask::<()>(&documented_user(name, "secret", "bull"))
            .await;
    }
    let address = |name: &str| format!("redis://{name}:secret@{}", server.host());
    let (producer, delivery) = (address("producer"), address("delivery"));
    let receiver = Receiver::start().await;
    let queue = queue(&server).await;
    for (mode, total) in [(Mode::Single, 200), (Mode::Batch, 400)] {
        let told = produce(&["--count", "200"], &producer).await;
        assert_eq!(told["jobs"], 200, "{told}");
        let mut settings = settings(&server, &receiver, mode);
        settings.redis = RedisSource::fixed(delivery.parse().unwrap());
        settings.delivery.requests_per_second = 1_000;
        let worker = Running::start(settings).await;
        assert_eq!(all_finished(&queue, total).await, (total, 0), "{mode:?}");
        worker.stop().await;
    }
    for command in ["stats", "pause", "resume", "peek 1", "failed"] {
        let words = [&["queue"][..], &command.split(' ').collect::<Vec<_>>()].concat();
        let (code, errors) = run(&words, &[("REDIS_URL", &delivery)]);
        assert_eq!(code, Some(0), "{command}: {errors}");
    }
    let refused = server
        .ask::<Vec<redis::Value>>(&["ACL", "LOG", "128"])
        .await;
    assert!(refused.is_empty(), "{refused:?}");
}
