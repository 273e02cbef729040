//! Before the run: is it the workspace that was meant, and does a tenth of the load go through clean?

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::profile::Profile;
use super::recorder::Recorder;
use super::summary::percent;
use crate::delivery::client::{Region, TrackClient};
use crate::delivery::encode::Call;
use crate::runtime::http_client::TransportError;

/// The share of the peak.
const SHARE: f64 = 0.1;
const REGION: &str = "/api/v1/accounts/region";

/// Why the run does not begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreflightError {
    /// The workspace did not say where it is.
    #[error("GET {REGION}: {seen}; {remedy}")]
    AskRegion {
        /// What came instead.
        seen: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The workspace is in another region.
    #[error(
        "the workspace is in region {is}, CUSTOMERIO_REGION says {set}: set CUSTOMERIO_REGION={is}"
    )]
    OtherRegion {
        /// Where it is.
        is: &'static str,
        /// What was set.
        set: &'static str,
    },
    /// A tenth of the load did not go through clean.
    #[error(
        "pre-flight: {seen}; {remedy}. The test was not begun; --no-preflight begins it all the same"
    )]
    Load {
        /// What was seen.
        seen: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It was asked to end.
    #[error("ended in the pre-flight, before the test")]
    Stopped,
}

/// Where a workspace is, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The data centre.
    pub region: Region,
    /// The workspace's number.
    pub environment_id: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "region {}", self.region.as_str())?;
        match self.environment_id {
            Some(id) => write!(f, ", environment {id}"),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    region: String,
    environment_id: Option<u64>,
}

/// Asks the workspace where it is (Track API, `GET /api/v1/accounts/region`): it writes nothing. Another
/// region than the one that is `set` is an error.
pub async fn place(client: &TrackClient, set: Region) -> Result<Place, PreflightError> {
    let call = Call {
        method: Method::GET,
        path: REGION.to_owned(),
        body: Bytes::new(),
    };
    let answer = client.send(&call).await;
    let (status, body) = match &answer {
        Ok(answer) => (Ok(answer.status), &answer.body[..]),
        Err(error) => (Err(error), &[][..]),
    };
    read(status, body, set)
}

fn read(
    status: Result<StatusCode, &TransportError>,
    body: &[u8],
    set: Region,
) -> Result<Place, PreflightError> {
    let ask = |seen: String, remedy| Err(PreflightError::AskRegion { seen, remedy });
    match status {
        Err(error) => return ask(error.to_string(), remedy(None)),
        Ok(status) if status != StatusCode::OK => {
            return ask(status.as_u16().to_string(), remedy(Some(status.as_u16())));
        }
        Ok(_) => {}
    }
    let document: Option<Document> = serde_json::from_slice(body).ok();
    let place = document.and_then(|it| {
        Some(Place {
            region: it.region.parse().ok()?,
            environment_id: it.environment_id,
        })
    });
    match place {
        None => ask("200 without a region".to_owned(), remedy(Some(404))),
        Some(place) if place.region != set => Err(PreflightError::OtherRegion {
            is: place.region.as_str(),
            set: set.as_str(),
        }),
        Some(place) => Ok(place),
    }
}

/// The load of the pre-flight of `profile`: a tenth of its peak, and one iteration at least.
pub fn load(profile: &Profile, duration: Duration) -> Profile {
    let rate = (profile.peak() * SHARE).max(1.0 / duration.as_secs_f64());
    profile.clone().constant(rate, duration)
}

/// Whether nothing was seen so far that forbids the run.
pub fn is_clean(it: &Recorder) -> bool {
    it.errors == 0 && it.dropped == 0
}

/// Judges a pre-flight of `planned` iterations that has ended.
pub fn judge(it: &Recorder, planned: u64, through_queue: bool) -> Result<(), PreflightError> {
    if is_clean(it) && it.completed >= planned {
        return Ok(());
    }
    let wrong = |(status, _): &(&u16, &u64)| **status != 200;
    let mut seen: Vec<String> = Vec::new();
    let statuses = it.statuses.iter().filter(wrong);
    seen.extend(statuses.map(|(status, count)| format!("{count} answered with {status}")));
    seen.extend(
        it.unanswered
            .iter()
            .map(|(why, count)| format!("{count} failed: {why}")),
    );
    if through_queue && it.errors > 0 {
        seen.push(format!(
            "{} jobs failed, or Redis did not take them",
            it.errors
        ));
    }
    let first = it.statuses.iter().find(wrong).map(|(status, _)| *status);
    let failed = it.errors > 0;
    if it.dropped > 0 {
        seen.push(format!("{} iterations found no free user", it.dropped));
    }
    if seen.is_empty() {
        seen.push(format!("{} of {planned} iterations complete", it.completed));
    }
    Err(PreflightError::Load {
        seen: format!(
            "{} (of {} requests, {:.2}% 429)",
            seen.join(", "),
            it.requests,
            percent(it.throttled(), it.requests)
        ),
        remedy: match (failed, through_queue) {
            (true, true) => QUEUE,
            (true, false) => remedy(first),
            (false, _) => SLOW,
        },
    })
}

const QUEUE: &str = "look at the failed jobs with cio queue failed, and check that Redis answers and a worker serves the \
     queue";
const SLOW: &str =
    "the workspace is slow at a tenth of the load: raise --max-users, or lower the rate";

/// What to do about a status, or about no answer.
fn remedy(status: Option<u16>) -> &'static str {
    match status {
        Some(401 | 403) => {
            "check CUSTOMERIO_SITE_ID and CUSTOMERIO_TRACK_API_KEY: they are refused (a key of an account in the \
             other region is, too: see CUSTOMERIO_REGION)"
        }
        Some(300..=399) => "the account is in the other region: change CUSTOMERIO_REGION",
        Some(404) => "no Track API answers there: check CUSTOMERIO_TRACK_URL",
        Some(429) => {
            "the workspace is at its limit already: end what else sends to it, or lower --requests-per-second"
        }
        Some(500..=599) => "it has trouble of its own: try again when it answers",
        Some(_) => "look into the workspace's activity log for the reason",
        None => "check CUSTOMERIO_TRACK_URL, CUSTOMERIO_REGION and the network",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_or_what_came_is_named_with_its_remedy() {
        let connect = TransportError::Connect("refused".to_owned());
        let body =
            br#"{"url": "https://track-eu.customer.io", "region": "eu", "environment_id": 3}"#;
        let read = |status: u16, body: &[u8], set| {
            read(
                StatusCode::from_u16(status).map_err(|_| &connect),
                body,
                set,
            )
        };
        let place = Place {
            region: Region::Eu,
            environment_id: Some(3),
        };
        assert_eq!(read(200, body, Region::Eu), Ok(place));
        for (status, body, words) in [
            (200, &body[..], ["region eu", "CUSTOMERIO_REGION=eu"]),
            (200, b"{}", ["without a region", "CUSTOMERIO_TRACK_URL"]),
            (401, b"", ["401", "CUSTOMERIO_TRACK_API_KEY"]),
            (302, b"", ["302", "CUSTOMERIO_REGION"]),
            (503, b"", ["503", "try again"]),
            (0, b"", ["cannot connect: refused", "CUSTOMERIO_TRACK_URL"]),
        ] {
            let error = read(status, body, Region::Us).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn the_load_is_a_tenth_of_the_peak_and_never_nothing() {
        let ten = Duration::from_secs(10);
        let of = |rate| load(&Profile::default().constant(rate, ten), ten).peak();
        assert!((load(&Profile::default(), ten).peak() - 8.0).abs() < 1e-9);
        assert!((of(0.2) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn only_a_clean_pre_flight_passes_and_another_says_what_was_seen_and_what_to_do() {
        let clean = Recorder {
            completed: 8,
            requests: 16,
            statuses: [(200, 16)].into(),
            ..Recorder::default()
        };
        assert_eq!(judge(&clean, 8, false), Ok(()));
        let failed = Recorder {
            errors: 3,
            ..clean.clone()
        };
        let error = judge(&failed, 8, true).unwrap_err().to_string();
        for words in ["3 jobs failed", "cio queue failed", "Redis", "worker"] {
            assert!(
                error.contains(words) && !error.contains("network"),
                "{error}"
            );
        }
        let with = |change: fn(&mut Recorder)| {
            let mut it = clean.clone();
            change(&mut it);
            judge(&it, 8, false).unwrap_err().to_string()
        };
        for (error, words) in [
            (
                with(|it| {
                    it.errors = 2;
                    it.statuses.insert(429, 2);
                }),
                ["2 answered with 429", "12.50% 429", "at its limit"],
            ),
            (
                with(|it| {
                    it.errors = 1;
                    it.unanswered(&TransportError::Broken(String::new()));
                }),
                [
                    "1 failed: connection broken",
                    "the network",
                    "--no-preflight",
                ],
            ),
            (
                with(|it| it.dropped = 1),
                [
                    "1 iterations found no free user",
                    "--max-users",
                    "not begun",
                ],
            ),
            (
                with(|it| it.completed = 7),
                ["7 of 8 iterations complete", "slow", "not begun"],
            ),
        ] {
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }
}
