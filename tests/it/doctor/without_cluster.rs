//! Without a cluster: it says so and checks the rest.

use super::doctor;
use crate::support::process::Cio;
use crate::support::redis::{RedisServer, free_port};
use crate::support::{eventually, http};

const NO_CLUSTER: (&str, &str) = ("KUBECONFIG", "/nowhere/kubeconfig");

/// A workspace in `region` that takes the credentials site and key; its address.
pub(super) async fn simulator(region: &str) -> (Cio, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [
        "simulator",
        "--listen",
        &address,
        "--region",
        region,
        "--credentials",
        "site:key",
    ];
    let simulator = Cio::start(&arguments, &[]);
    let url = format!("http://{address}");
    eventually("the simulator", async || {
        http::get(&format!("{url}/healthz")).await
    })
    .await;
    (simulator, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_and_workspace_are_checked_and_the_absence_is_said() {
    let redis = RedisServer::start_with(&["--appendonly", "yes", "--maxmemory", "100mb"]);
    let (_simulator, url) = simulator("us").await;
    let variables = [
        NO_CLUSTER,
        ("REDIS_URL", &redis.url()),
        ("CUSTOMERIO_SITE_ID", "site"),
        ("CUSTOMERIO_TRACK_API_KEY", "key"),
        ("CUSTOMERIO_TRACK_URL", &url),
    ];
    let (code, checks) = doctor(&[], &variables);
    checks.expect(&[
        ("cluster", "warning"),
        ("redis", "pass"),
        ("redis-memory-policy", "pass"),
        ("redis-memory", "pass"),
        ("redis-persistence", "pass"),
        ("queue", "warning"),
        ("customerio-credentials", "pass"),
        ("customerio-region", "pass"),
        ("clock-redis", "pass"),
        ("clock-customerio", "pass"),
    ]);
    assert_eq!(code, Some(0), "{checks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_throws_jobs_away_and_a_wrong_region_and_key_fail() {
    let redis = RedisServer::start_with(&[
        "--save",
        "",
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "allkeys-lru",
    ]);
    let (_simulator, url) = simulator("eu").await;
    for (key, credentials, region) in [("key", "pass", "failure"), ("wrong", "failure", "absent")] {
        let variables = [
            NO_CLUSTER,
            ("REDIS_URL", &redis.url()),
            ("CUSTOMERIO_SITE_ID", "site"),
            ("CUSTOMERIO_TRACK_API_KEY", key),
            ("CUSTOMERIO_TRACK_URL", &url),
        ];
        let (code, checks) = doctor(&[], &variables);
        checks.expect(&[
            ("redis-memory-policy", "failure"),
            ("redis-persistence", "warning"),
            ("customerio-credentials", credentials),
            ("customerio-region", region),
        ]);
        assert_eq!(code, Some(1), "{checks:#?}");
        assert!(
            checks
                .words("redis-memory-policy")
                .contains("CONFIG SET maxmemory-policy noeviction")
        );
    }
}

#[test]
fn nothing_there_is_said_too() {
    let url = format!("redis://:geheim@127.0.0.1:{}", free_port());
    let (code, checks) = doctor(&[], &[NO_CLUSTER, ("REDIS_URL", &url)]);
    checks.expect(&[("redis", "failure"), ("customerio-credentials", "warning")]);
    assert!(!format!("{checks:?}").contains("geheim"));
    assert_eq!(code, Some(1));
    let (code, checks) = doctor(&["events"], &[NO_CLUSTER]);
    checks.expect(&[("cluster", "failure")]);
    assert_eq!(code, Some(1));
}
