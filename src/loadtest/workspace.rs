//! Which workspaces and queues may be loaded: decided before any packet.

use hyper::Uri;

use crate::queue::address::RedisAddress;

/// Why a workspace is not loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused: workspace {site_id} is not named as staging, and {url} is not on loopback; a load test \
     never runs against production. Name a staging workspace with --staging {site_id} \
     (CIO_STAGING_SITE_IDS), or set CUSTOMERIO_TRACK_URL to a simulator, for example \
     http://127.0.0.1:8080"
)]
pub struct Production {
    site_id: String,
    url: String,
}

/// Why no job goes into a queue.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused: queue {queue} at {redis} is not on a Redis on loopback: its jobs are delivered by the workers that \
     serve it, with their credentials, to their workspace, whatever CUSTOMERIO_SITE_ID and CUSTOMERIO_TRACK_URL \
     say here; a load test never runs against production. If these workers deliver to a staging workspace, say so \
     with --staging-queue {queue}"
)]
pub struct ForeignQueue {
    queue: String,
    redis: String,
}

/// Accepts a queue that is named as staging, or one of a single Redis server on loopback.
pub fn check_queue(
    redis: &RedisAddress,
    queue: &str,
    staging: Option<&str>,
) -> Result<(), ForeignQueue> {
    if staging == Some(queue) || redis.sole_host().is_some_and(is_loopback_host) {
        return Ok(());
    }
    Err(ForeignQueue {
        queue: queue.to_owned(),
        redis: redis.to_string(),
    })
}

/// Accepts a workspace that is named as staging, or whatever answers on loopback.
pub fn check(url: &str, site_id: &str, staging: &[String]) -> Result<(), Production> {
    let named = staging.iter().any(|name| name.trim() == site_id);
    if named || is_loopback(url) {
        return Ok(());
    }
    Err(Production {
        site_id: site_id.to_owned(),
        url: url.to_owned(),
    })
}

fn is_loopback(url: &str) -> bool {
    let uri: Option<Uri> = url.parse().ok();
    is_loopback_host(uri.as_ref().and_then(Uri::host).unwrap_or(""))
}

fn is_loopback_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|it| it.is_loopback());
    loopback || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_named_workspaces_are_loaded() {
        for (url, site, accepted) in [
            ("http://127.0.0.1:8080", "s", true),
            ("http://127.9.0.1", "s", true),
            ("http://[::1]:8080", "s", true),
            ("http://LocalHost:1", "s", true),
            ("https://track.customer.io", "stage", true),
            ("https://track.customer.io", "s", false),
            ("http://localhost.example.com", "s", false),
            ("http://127.0.0.1.example.com", "s", false),
            ("http://10.0.0.1", "s", false),
            ("", "", false),
        ] {
            let staging = ["other".to_owned(), " stage ".to_owned()];
            assert_eq!(check(url, site, &staging).is_ok(), accepted, "{url} {site}");
        }
    }

    #[test]
    fn only_queues_on_loopback_and_those_whose_name_is_repeated_are_loaded() {
        for (redis, staging, accepted) in [
            ("redis://localhost:6379", None, true),
            ("rediss://:geheim@127.0.0.1/1", None, true),
            ("redis://[::1]:6379", None, true),
            ("redis://redis:6379", None, false),
            ("redis://redis:6379", Some("other"), false),
            ("redis://redis:6379", Some("cio-events,other"), false),
            ("redis://redis:6379", Some(""), false),
            ("redis://redis:6379", Some("cio-events"), true),
            // Where the servers are is what these two say.
            ("redis-cluster://127.0.0.1:7000", None, false),
            ("redis-sentinel://127.0.0.1:26379/main", None, false),
            ("redis-cluster://a:1,b:2", Some("cio-events"), true),
        ] {
            let address: RedisAddress = redis.parse().unwrap();
            let checked = check_queue(&address, "cio-events", staging);
            assert_eq!(checked.is_ok(), accepted, "{redis} {staging:?}");
            if let Err(refused) = checked {
                let text = refused.to_string();
                assert!(text.contains("--staging-queue cio-events"), "{text}");
                assert!(!text.contains("geheim"), "{text}");
            }
        }
    }
}
