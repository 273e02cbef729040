//! Which workspaces may be loaded: decided before any packet.

use hyper::Uri;

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
    let host = uri.as_ref().and_then(Uri::host).unwrap_or("");
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
}
