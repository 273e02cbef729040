//! Asking a pipeline's sidecars for the depth of its queue.
//!
//! Every sidecar reports the whole queue, so one answer is enough; a second is asked only when the
//! first fails. Unknown is never 0: what is not known comes back as a reason.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use jiff::Timestamp;

use crate::runtime::http_client::{Answer, HttpClient};

/// A reading older than this says nothing about now.
pub const STALE_AFTER_SECONDS: f64 = 30.0;
/// How many sidecars are asked for one answer.
const TRIES: usize = 2;

/// What a sidecar said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Jobs ready or in flight, of the whole queue.
    pub depth: u64,
    /// When the sidecar read that from Redis, in seconds since the Unix epoch.
    pub read_at: f64,
}

/// Why the depth is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No pod of the pipeline has a ready sidecar.
    #[error("no pod has a ready metrics sidecar yet")]
    NoReadySidecar,
    /// Sidecars are there but do not answer.
    #[error("the metrics sidecar does not answer: {0}")]
    SidecarUnreachable(String),
    /// The sidecar answers without a depth: it cannot read the queue.
    #[error("the sidecar cannot read the queue: check that Redis is up and its address is right")]
    QueueUnreadable,
    /// The sidecar's last reading is too old.
    #[error("the last reading of the queue is {0} seconds old: check that Redis is up")]
    StaleReading(u64),
}

impl Unknown {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoReadySidecar => "NoReadySidecar",
            Self::SidecarUnreachable(_) => "SidecarUnreachable",
            Self::QueueUnreadable => "QueueUnreadable",
            Self::StaleReading(_) => "StaleReading",
        }
    }
}

/// Asks one sidecar, and a second if the first fails.
pub async fn read_depth(
    client: &HttpClient,
    sidecars: &[SocketAddr],
    now: Timestamp,
) -> Result<Reading, Unknown> {
    let mut unknown = Unknown::NoReadySidecar;
    for sidecar in sidecars.iter().take(TRIES) {
        match ask(client, *sidecar)
            .await
            .and_then(|answer| understand(&answer, now))
        {
            Ok(reading) => return Ok(reading),
            Err(why) => unknown = why,
        }
    }
    Err(unknown)
}

async fn ask(client: &HttpClient, sidecar: SocketAddr) -> Result<Answer, Unknown> {
    let unreachable = |why: String| Unknown::SidecarUnreachable(why);
    let request = Request::get(format!("http://{sidecar}/metrics"))
        .body(Full::new(Bytes::new()))
        .map_err(|error| unreachable(error.to_string()))?;
    client
        .send(request)
        .await
        .map_err(|error| unreachable(error.to_string()))
}

/// Pure: the text of `/metrics` → a reading.
fn understand(answer: &Answer, now: Timestamp) -> Result<Reading, Unknown> {
    if answer.status != StatusCode::OK {
        return Err(Unknown::SidecarUnreachable(format!(
            "status {}",
            answer.status
        )));
    }
    let text = String::from_utf8_lossy(&answer.body);
    let depth = sample(&text, "cio_queue_depth").ok_or(Unknown::QueueUnreadable)?;
    let read_at =
        sample(&text, "cio_queue_read_timestamp_seconds").ok_or(Unknown::QueueUnreadable)?;
    let age = seconds(now) - read_at;
    if age > STALE_AFTER_SECONDS {
        return Err(Unknown::StaleReading(whole(age)));
    }
    if !depth.is_finite() || depth < 0.0 {
        return Err(Unknown::QueueUnreadable);
    }
    Ok(Reading {
        depth: whole(depth),
        read_at,
    })
}

/// The value of the first sample of a metric in Prometheus' text format.
fn sample(text: &str, metric: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(metric)?;
        let value = match rest.as_bytes().first()? {
            b' ' => rest,
            b'{' => rest.rsplit_once('}')?.1,
            _ => return None,
        };
        value.split_whitespace().next()?.parse().ok()
    })
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts and ages are finite, not negative, and far below 2^53; the cast saturates"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;

    use super::*;

    fn understood(status: StatusCode, text: &'static str) -> Result<Reading, Unknown> {
        let answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::from_static(text.as_bytes()),
        };
        understand(&answer, Timestamp::from_second(1_000).expect("a time"))
    }

    #[test]
    fn a_fresh_depth_is_a_reading() {
        let text = "# HELP cio_queue_depth x\n# TYPE cio_queue_depth gauge\n\
            cio_queue_depth_other 3\n\
            cio_queue_depth{pipeline=\"a} b\",queue=\"q\"} 2000\n\
            cio_queue_read_timestamp_seconds{pipeline=\"a\",queue=\"q\"} 999.5\n";
        let reading = Reading {
            depth: 2000,
            read_at: 999.5,
        };
        assert_eq!(understood(StatusCode::OK, text), Ok(reading));
    }

    #[test]
    fn what_is_missing_stale_or_broken_is_unknown_and_never_zero() {
        let fresh = "cio_queue_read_timestamp_seconds 999\n";
        let stale = "cio_queue_depth 0\ncio_queue_read_timestamp_seconds 969\n";
        let negative = "cio_queue_depth -1\ncio_queue_read_timestamp_seconds 999\n";
        let cases = [
            (StatusCode::OK, "", "QueueUnreadable"),
            (StatusCode::OK, fresh, "QueueUnreadable"),
            (StatusCode::OK, "cio_queue_depth 5\n", "QueueUnreadable"),
            (StatusCode::OK, negative, "QueueUnreadable"),
            (StatusCode::OK, stale, "StaleReading"),
            (
                StatusCode::FOUND,
                "cio_queue_depth 5\n",
                "SidecarUnreachable",
            ),
        ];
        for (status, text, reason) in cases {
            let unknown = understood(status, text).expect_err(text);
            assert_eq!(unknown.reason(), reason, "{text}");
        }
    }
}
