//! The worker on a Redis Cluster: its queue in one slot, the workspace's limit in another.

use std::collections::HashSet;

use bullmq::Queue;
use bullmq::options::{QueueOptions, RedisConnectionOptions};
use cio_operator::delivery::Mode;
use cio_operator::queue::source::RedisSource;

use super::bench::{QUEUE, Running, add, all_finished, many, settings};
use super::receiver::Receiver;
use crate::support::eventually;
use crate::support::redis::{RedisServer, documented_user};

const PREFIX: &str = "{bull}";
/// The slots that each node has.
const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

#[tokio::test(flavor = "multi_thread")]
async fn on_a_redis_cluster_every_job_is_delivered_once_under_the_limit() {
    let nodes = cluster().await;
    let receiver = Receiver::start().await;
    let queue = queue(&nodes).await;
    // A user is not replicated: each node has to know it.
    let mut user = documented_user("delivery", "secret", PREFIX);
    user.push("+cluster|slots".to_owned());
    for node in &nodes {
        node.ask::<()>(&user).await;
    }
    let hosts: Vec<_> = nodes.iter().map(RedisServer::host).collect();
    let address = format!("redis-cluster://delivery:secret@{}", hosts.join(","));
    for (mode, total) in [(Mode::Single, 500), (Mode::Batch, 1_000)] {
        add(&queue, many(500, 20)).await;
        let mut settings = settings(&nodes[0], &receiver, mode);
        settings.redis = RedisSource::fixed(address.parse().unwrap());
        settings.prefix = PREFIX.parse().unwrap();
        settings.delivery.requests_per_second = 1_000;
        let worker = Running::start(settings).await;
        assert_eq!(all_finished(&queue, total).await, (total, 0), "{mode:?}");
        worker.stop().await;
    }
    let ids = receiver.event_ids();
    assert_eq!(ids.len(), 1_000);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1_000);
    let mut limits = Vec::new();
    for node in &nodes {
        limits.extend(node.ask::<Vec<String>>(&["KEYS", "cio:*:limit"]).await);
        let refused = node.ask::<Vec<redis::Value>>(&["ACL", "LOG", "128"]).await;
        assert!(refused.is_empty(), "{refused:?}");
    }
    assert_eq!(limits.len(), 1, "one limit for the workspace: {limits:?}");
}

/// Three nodes that know each other.
async fn cluster() -> Vec<RedisServer> {
    let nodes: Vec<_> = SLOTS
        .iter()
        .map(|_| RedisServer::start_with(&["--cluster-enabled", "yes", "--save", ""]))
        .collect();
    let first = nodes[0].port().to_string();
    for (node, (from, to)) in nodes.iter().zip(SLOTS) {
        node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", from, to])
            .await;
        if node.port() != nodes[0].port() {
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &first])
                .await;
        }
    }
    for node in &nodes {
        eventually("the node knows every slot", async || {
            let about: String = node.ask(&["CLUSTER", "INFO"]).await;
            let whole = about.contains("cluster_state:ok") && about.contains("known_nodes:3");
            whole.then_some(())
        })
        .await;
    }
    nodes
}

/// The queue, as a producer has it.
async fn queue(nodes: &[RedisServer]) -> Queue {
    let hosts = nodes.iter().map(RedisServer::url);
    let options = QueueOptions {
        connection: RedisConnectionOptions::new().cluster_nodes(hosts),
        prefix: PREFIX.to_owned(),
        ..QueueOptions::default()
    };
    Queue::with_options(QUEUE, options).await.expect("a queue")
}
