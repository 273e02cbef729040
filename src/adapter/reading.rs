//! What a sidecar's page says of its queue: a depth with its age, or a reason why it is not known,
//! never a guess. Pure.

use jiff::{SignedDuration, Timestamp};

use super::limit::Limit;
use super::page::value;

/// A reading whose age differs from now by more than this says nothing about now.
const STALE_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// The series with the depth.
const DEPTH: &str = "cio_queue_depth";
/// The series with the time of the reading, in seconds since the epoch.
const READ_AT: &str = "cio_queue_read_timestamp_seconds";

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
    /// Nothing came back, or not in time. How it failed differs by chance, as of two timers of the
    /// same length one runs out first: that is for the log alone.
    #[error(
        "no ready sidecar answered; a NetworkPolicy may be in the way of the operator and the adapter"
    )]
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

    /// What happened this time, for the log: it may differ while the reason does not.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::SidecarUnreachable(cause) => format!("{self}: {cause}"),
            _ => self.to_string(),
        }
    }
}

/// What a sidecar's metrics say about the depth of this pipeline's queue.
pub(super) fn interpret(text: &str, pipeline: &str, now: Timestamp) -> Result<Reading, Unknown> {
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
    fn which_timer_ran_out_first_is_not_part_of_the_sentence() {
        let words = [
            "no answer within 1s",
            "connection timed out",
            "reset by peer",
        ]
        .map(|cause| Unknown::SidecarUnreachable(cause.to_owned()).to_string());
        assert_eq!(words[0], words[1]);
        assert_eq!(words[0], words[2]);
        let timed_out = Unknown::SidecarUnreachable("timed out".to_owned());
        assert!(timed_out.cause().ends_with(": timed out"), "{timed_out:?}");
        for asker in ["operator", "adapter"] {
            assert!(words[0].contains(asker), "{}", words[0]);
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
}
