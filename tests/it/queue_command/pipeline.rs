//! A queue that is named by its pipeline.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::doctor::api_server::{Answers, ApiServer};
use crate::support::process;
use crate::support::redis::RedisServer;

/// The pipeline shop/events, whose Secret holds `url`.
fn cluster(url: &str) -> Answers {
    let yaml = "{apiVersion: cio.dev/v1alpha1, kind: CioPipeline, metadata: {name: events, namespace: shop}, \
        spec: {queue: {name: orders, prefix: shop, redis: {urlSecretRef: {name: redis, key: url}}}}}";
    let pipeline = cio_operator::api::parse(yaml).expect("a pipeline");
    let secret =
        json!({"metadata": {"name": "redis"}, "data": {"url": BASE64_STANDARD.encode(url)}});
    [
        (
            "/apis/cio.dev/v1alpha1/namespaces/shop/ciopipelines/events",
            serde_json::to_value(pipeline).expect("JSON"),
        ),
        ("/api/v1/namespaces/shop/secrets/redis", secret),
    ]
    .map(|(path, answer)| (path.to_owned(), answer))
    .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipelines_name_leads_to_its_queue_on_its_redis() {
    let server = RedisServer::start();
    for job in ["1", "2", "3"] {
        server.ask::<()>(&["LPUSH", "shop:orders:wait", job]).await;
    }
    let api = ApiServer::start(cluster(&server.url())).await;
    let kubeconfig = api.kubeconfig();
    let ask = async |pipeline: &'static str| {
        let kubeconfig = kubeconfig.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let path = kubeconfig.to_str().expect("a path");
            let arguments = ["queue", "stats", pipeline, "-n", "shop", "-o", "json"];
            process::output(&arguments, &[("KUBECONFIG", path)])
        });
        ran.await.expect("the command")
    };
    let (code, stats, log) = ask("events").await;
    assert_eq!(code, Some(0), "{log}");
    let stats: Value = serde_json::from_str(&stats).expect("JSON");
    assert_eq!(stats["counts"]["waiting"], 3, "{stats}");

    let (code, _, log) = ask("no-such").await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("shop/no-such"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_pipeline_only_a_flag_replaces_its_redis_and_what_is_changed_is_named() {
    let (own, other) = (RedisServer::start(), RedisServer::start());
    for server in [&own, &other] {
        server.ask::<()>(&["LPUSH", "shop:orders:wait", "1"]).await;
    }
    let api = ApiServer::start(cluster(&own.url())).await;
    let kubeconfig = api.kubeconfig();
    let drain = async |flags: &[String]| {
        let path = kubeconfig.to_str().expect("a path").to_owned();
        let (other, flags) = (other.url(), flags.to_vec());
        let ran = tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["queue", "drain", "events", "-n", "shop", "--yes"];
            arguments.extend(flags.iter().map(String::as_str));
            let variables = [("KUBECONFIG", &*path), ("REDIS_URL", &*other)];
            process::output(&arguments, &variables)
        });
        ran.await.expect("the command")
    };
    let waiting =
        async |server: &RedisServer| server.ask::<u64>(&["LLEN", "shop:orders:wait"]).await;
    let (code, _, log) = drain(&[]).await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!((waiting(&own).await, waiting(&other).await), (0, 1));
    assert!(log.contains(&format!("on Redis at {}", own.url())), "{log}");

    let (code, _, log) = drain(&["--redis-url".to_owned(), other.url()]).await;
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(waiting(&other).await, 0);
}
