//! Asking a sidecar how deep its queue is.
//!
//! Every sidecar of a pipeline reads the same queue, so that one answer is enough. An answer is
//! either a depth with its age, or a reason why it is not known: never a guess.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::limit::Limit;
use crate::runtime::http_client::{HttpClient, HttpClientOptions};

/// A reading whose age differs from now by more than this says nothing about now.
const STALE_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// Sidecars asked before giving up.
const ATTEMPTS: usize = 2;
/// What is waited for a second sidecar that may know the limit: the depth is there already.
const LIMIT_PATIENCE: Duration = Duration::from_millis(250);
/// The series with the depth.
const DEPTH: &str = "cio_queue_depth";
/// The series with the time of the reading, in seconds since the epoch.
const READ_AT: &str = "cio_queue_read_timestamp_seconds";

/// The client for [`read_depth`]: one second for an answer of at most 64 KiB. There may be
/// thousands of sidecars, each asked once in many seconds: no connection to them is kept, for its
/// buffers take more memory than a pod's entry does.
pub const CLIENT: HttpClientOptions = HttpClientOptions {
    timeout: Duration::from_secs(1),
    idle_timeout: Duration::ZERO,
    idle_per_host: 0,
    max_body: 64 * 1024,
};

/// The depth of a whole queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// Jobs ready and in flight.
    pub depth: u64,
    /// When the sidecar counted them.
    pub read_at: Timestamp,
    /// How much of the workspace's limit is used; none where the sidecar does not know.
    pub limit: Option<Limit>,
}

/// Why the depth is not known. The sentences do not change while the reason does not, so that
/// they can stand in a status without writing it again and again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is nobody to ask.
    #[error(
        "no pod has a ready sidecar; look at the container `metrics` with `kubectl describe pod`"
    )]
    NoReadySidecar,
    /// Nothing came back, or not in time.
    #[error("no ready sidecar answered: {0}; a NetworkPolicy may be in the way of the adapter")]
    SidecarUnreachable(String),
    /// Something came back that is no sidecar's answer.
    #[error("what listens on the sidecar's port is not this pipeline's sidecar: {0}")]
    InvalidAnswer(String),
    /// The sidecar cannot read its queue.
    #[error("the sidecar cannot read the queue; its log says why Redis does not answer")]
    DepthUnknown,
    /// The last reading is too old, or the clocks differ.
    #[error(
        "the sidecar's last reading is more than 30 s away from now; Redis may be down, or the \
         clocks of the nodes may differ"
    )]
    StaleReading,
}

impl Unknown {
    /// The reason in one word, as conditions and metrics have it.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoReadySidecar => "NoReadySidecar",
            Self::SidecarUnreachable(_) => "SidecarUnreachable",
            Self::InvalidAnswer(_) => "InvalidAnswer",
            Self::DepthUnknown => "DepthUnknown",
            Self::StaleReading => "StaleReading",
        }
    }
}

/// Asks the first of `sidecars`, and the second when the first cannot tell, or is too new to know
/// how much of the limit is used. One that counts for another pipeline than this cannot tell: an
/// address is another pod's once its pod is gone. Takes at most twice the client's time limit;
/// `client` is made from [`CLIENT`].
///
/// # Errors
/// Why the depth is not known: what the sidecar that could be reached said, else the last one.
pub async fn read_depth(
    client: &HttpClient,
    pipeline: &str,
    sidecars: &[SocketAddr],
    now: Timestamp,
) -> Result<Reading, Unknown> {
    let ask = async |sidecar| ask(client, pipeline, sidecar, now).await;
    let mut unknown = Unknown::NoReadySidecar;
    let mut left = sidecars.iter().take(ATTEMPTS);
    while let Some(sidecar) = left.next() {
        match ask(*sidecar).await {
            Ok(first) if first.limit_is_coming => {
                let Some(sidecar) = left.next() else {
                    return Ok(first.reading);
                };
                let second = timeout(LIMIT_PATIENCE, ask(*sidecar)).await;
                return Ok(with_a_limit(first, second.ok().and_then(Result::ok)));
            }
            Ok(answer) => return Ok(answer.reading),
            Err(Unknown::SidecarUnreachable(_)) if unknown != Unknown::NoReadySidecar => {}
            Err(reason) => unknown = reason,
        }
    }
    Err(unknown)
}

/// What one sidecar says.
#[derive(Debug, Clone, Copy)]
struct Answer {
    reading: Reading,
    /// It follows the limit, and will know it at its next reading.
    limit_is_coming: bool,
}

/// Of two answers the one that knows the limit.
fn with_a_limit(first: Answer, second: Option<Answer>) -> Reading {
    let knows = |answer: &Answer| answer.reading.limit.is_some();
    second.filter(knows).unwrap_or(first).reading
}

async fn ask(
    client: &HttpClient,
    pipeline: &str,
    sidecar: SocketAddr,
    now: Timestamp,
) -> Result<Answer, Unknown> {
    let text = page(client, sidecar).await?;
    Ok(Answer {
        reading: interpret(&text, pipeline, now)?,
        limit_is_coming: Limit::is_coming(&text),
    })
}

/// A pod's metrics, as text.
pub(crate) async fn page(client: &HttpClient, address: SocketAddr) -> Result<String, Unknown> {
    let request = Request::get(format!("http://{address}/metrics"))
        .body(Full::<Bytes>::default())
        .map_err(|error| Unknown::SidecarUnreachable(error.to_string()))?;
    let answer = client
        .send(request)
        .await
        .map_err(|error| Unknown::SidecarUnreachable(error.to_string()))?;
    if answer.status != StatusCode::OK {
        return Err(Unknown::InvalidAnswer(format!(
            "HTTP status {}",
            answer.status
        )));
    }
    String::from_utf8(answer.body.into())
        .map_err(|_| Unknown::InvalidAnswer("the answer is not text".to_owned()))
}

/// What a sidecar's metrics say about the depth of this pipeline's queue.
fn interpret(text: &str, pipeline: &str, now: Timestamp) -> Result<Reading, Unknown> {
    if text.lines().any(|line| is_of_another(line, pipeline)) {
        let another = "it counts for another pipeline".to_owned();
        return Err(Unknown::InvalidAnswer(another));
    }
    let Some(depth) = sample(text, DEPTH)? else {
        // A sidecar without a reading leaves the depth out, and has its other series all the same.
        return Err(if text.contains("cio_queue_") {
            Unknown::DepthUnknown
        } else {
            Unknown::InvalidAnswer(format!("it has no series {DEPTH}"))
        });
    };
    let depth = jobs(depth).ok_or(Unknown::DepthUnknown)?;
    let read_at = sample(text, READ_AT)?
        .and_then(instant)
        .ok_or_else(|| Unknown::InvalidAnswer(format!("it has no time in {READ_AT}")))?;
    if now.duration_since(read_at).abs() > STALE_AFTER {
        return Err(Unknown::StaleReading);
    }
    Ok(Reading {
        depth,
        read_at,
        limit: Limit::of(text),
    })
}

/// Whether a line has the depth of another pipeline's queue. A pipeline's name is a DNS label, so
/// that nothing in it is escaped.
fn is_of_another(line: &str, pipeline: &str) -> bool {
    const LABEL: &str = "pipeline=\"";
    let labels = line
        .strip_prefix(DEPTH)
        .and_then(|rest| rest.strip_prefix('{'));
    let name = labels
        .and_then(|labels| labels.split_once(LABEL))
        .and_then(|(_, rest)| rest.split_once('"'));
    name.is_some_and(|(name, _)| name != pipeline)
}

/// The one sample of a series in Prometheus' text format; a sidecar has one queue.
fn sample(text: &str, name: &str) -> Result<Option<f64>, Unknown> {
    let mut values = text.lines().filter_map(|line| value(line, name));
    let first = values.next();
    if values.next().is_some() {
        return Err(Unknown::InvalidAnswer(format!(
            "it has {name} more than once"
        )));
    }
    Ok(first)
}

/// The value on `NAME VALUE [TIME]` or `NAME{LABELS} VALUE [TIME]`.
pub(crate) fn value(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let after_labels = match rest.strip_prefix('{') {
        // A label's value may hold a brace, what follows the labels may not.
        Some(labels) => labels.rsplit_once('}')?.1,
        None => rest,
    };
    if !after_labels.starts_with([' ', '\t']) {
        return None;
    }
    after_labels.split_whitespace().next()?.parse().ok()
}

/// A number of jobs; none for what can be no number of jobs, as `NaN`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and a fraction of a job is dropped on purpose"
)]
fn jobs(value: f64) -> Option<u64> {
    // Above 2^53 a float no longer counts one by one.
    const MOST: f64 = 9_007_199_254_740_992.0;
    (0.0..=MOST).contains(&value).then_some(value as u64)
}

fn instant(seconds: f64) -> Option<Timestamp> {
    let since_epoch = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since_epoch).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: &str = r#"{pipeline="events",queue="odd}name"}"#;

    fn now() -> Timestamp {
        Timestamp::from_second(1_764_000_000).unwrap()
    }

    fn text(depth: &str, read_at: &str) -> String {
        format!(
            "# HELP cio_queue_depth Jobs.\n# TYPE cio_queue_depth gauge\n\
             cio_queue_depth{LABELS} {depth}\n\
             cio_queue_depth_other 7\n\
             cio_queue_read_timestamp_seconds{LABELS} {read_at}\n"
        )
    }

    #[test]
    fn a_fresh_reading_is_the_depth() {
        for (depth, read_at, expected) in [
            ("2000", "1764000000", 2000),
            ("0", "1763999970.000", 0),
            ("2e3", "1764000029.9 1764000000000", 2000),
        ] {
            let reading = interpret(&text(depth, read_at), "events", now()).unwrap();
            assert_eq!(reading.depth, expected, "{depth} {read_at}");
        }
    }

    #[test]
    fn what_is_old_broken_or_missing_is_unknown_and_says_why() {
        let fresh = "1764000000";
        let without_depth = format!("cio_queue_read_timestamp_seconds{LABELS} {fresh}\n");
        for (text, reason) in [
            (text("2000", "1763999969"), "StaleReading"),
            (text("2000", "1764000031"), "StaleReading"),
            (text("2000", "0"), "StaleReading"),
            (text("NaN", fresh), "DepthUnknown"),
            (text("-1", fresh), "DepthUnknown"),
            (text("+Inf", fresh), "DepthUnknown"),
            (without_depth, "DepthUnknown"),
            (
                "cio_queue_scrape_errors_total 3\n".to_owned(),
                "DepthUnknown",
            ),
            (format!("cio_queue_depth{LABELS} 5\n"), "InvalidAnswer"),
            (text("2000", "NaN"), "InvalidAnswer"),
            (text("1", fresh) + &text("2", fresh), "InvalidAnswer"),
            ("<html>hello</html>".to_owned(), "InvalidAnswer"),
            (String::new(), "InvalidAnswer"),
        ] {
            let unknown = interpret(&text, "events", now()).unwrap_err();
            assert_eq!(unknown.reason(), reason, "{text}");
        }
    }

    #[test]
    fn the_depth_of_another_pipeline_is_not_taken_for_this_ones() {
        let page = text("2000", "1764000000");
        for another in ["event", "events2", "other"] {
            let unknown = interpret(&page, another, now()).unwrap_err();
            assert_eq!(unknown.reason(), "InvalidAnswer", "{another}");
            assert!(unknown.to_string().contains("another pipeline"));
        }
        let unnamed = page.replace(LABELS, "");
        assert_eq!(interpret(&unnamed, "events", now()).unwrap().depth, 2000);
    }

    #[test]
    fn of_two_answers_the_one_that_knows_the_limit_counts() {
        let limit = Some(Limit {
            requests_per_second: 80.0,
            used_ratio: 0.98,
            circuit_open: false,
        });
        let answer = |depth, limit| Answer {
            reading: Reading {
                depth,
                read_at: now(),
                limit,
            },
            limit_is_coming: true,
        };
        for (what, second, expected) in [
            ("the second knows it", Some(answer(2, limit)), (2, limit)),
            ("neither does", Some(answer(2, None)), (1, None)),
            ("the second is silent", None, (1, None)),
        ] {
            let found = with_a_limit(answer(1, None), second);
            assert_eq!((found.depth, found.limit), expected, "{what}");
        }
    }

    #[tokio::test]
    async fn nobody_to_ask_is_a_reason_of_its_own() {
        let client = HttpClient::new(CLIENT).unwrap();
        let unknown = read_depth(&client, "events", &[], now()).await.unwrap_err();
        assert_eq!(unknown.reason(), "NoReadySidecar");
    }
}
