//! Asking the App API whether users are gone. It takes 10 requests a second; one asks for 100 users.
//!
//! `POST /v1/customers/attributes` with up to 100 ids answers with those people that exist:
//! <https://docs.customer.io/integrations/api/app/tag/customers/getPeopleById/>.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, InvalidHeaderValue};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::journal::JournalError;
use crate::delivery::client::Region;
use crate::runtime::http_client::{HttpClient, HttpClientOptions, TransportError};

/// Users in one request.
const AT_ONCE: usize = 100;
/// Between two requests: a little more than a tenth of a second, for jitter on the way.
const PACE: Duration = Duration::from_millis(110);
/// A request that is not answered with 200 is sent so often.
const SENDS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Customer.io deletes after it has answered: those that are still there are asked for again.
const LOOK_AGAIN_AFTER: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];
/// So many are asked for again.
const AGAIN: usize = 10_000;
const TIMEOUT: Duration = Duration::from_secs(10);
/// A hundred people with what a workspace may have added to them.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The App API of a workspace.
pub struct AppApi {
    http: HttpClient,
    url: String,
    /// The value of the Authorization header.
    bearer: HeaderValue,
}

/// Why it is not known who is left.
#[derive(Debug, thiserror::Error)]
pub enum AppApiError {
    /// The key is not good.
    #[error(
        "removal is not verified: the App API answered {0}: is CUSTOMERIO_APP_API_KEY an App API key of this \
         workspace, and its region right?"
    )]
    Authorize(StatusCode),
    /// It answered something else.
    #[error("removal is not verified: the App API answered {0}")]
    Answer(StatusCode),
    /// It answered 200, with something else: a proxy's page, perhaps.
    #[error(
        "removal is not verified: the App API answered 200 without a list of people: is CUSTOMERIO_APP_API_URL the \
         App API's?"
    )]
    Read,
    /// Nobody knows whom to ask for.
    #[error("removal is not verified: {0}")]
    ReadJournal(#[from] JournalError),
    /// It did not answer.
    #[error("removal is not verified: the App API: {0}")]
    Reach(#[from] TransportError),
}

/// Why there is no client of the App API.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// No header can hold the key.
    #[error(
        "CUSTOMERIO_APP_API_KEY: it has characters that no key has: copy it again, without a line end"
    )]
    ReadKey(#[from] InvalidHeaderValue),
    /// The system's certificates cannot be read.
    #[error(transparent)]
    Certificates(#[from] io::Error),
}

impl std::fmt::Debug for AppApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AppApi").field(&self.url).finish()
    }
}

/// The public host of a region.
pub fn host(region: Region) -> &'static str {
    match region {
        Region::Us => "https://api.customer.io",
        Region::Eu => "https://api-eu.customer.io",
    }
}

/// `most` of `users`, `all` of them, evenly spread.
pub fn sample<E>(
    users: impl Iterator<Item = Result<String, E>>,
    all: usize,
    most: usize,
) -> impl Iterator<Item = Result<String, E>> {
    let (count, mut picked) = (most.min(all), 0);
    users.enumerate().filter_map(move |(index, user)| {
        let pick = user.is_err() || picked < count && index == picked * all / count;
        picked += usize::from(pick);
        pick.then_some(user)
    })
}

/// Users that are there.
#[derive(Debug, Default)]
struct Left {
    /// Those that are asked for again.
    again: Vec<String>,
    /// How many more than memory should hold: they are taken to stay.
    beyond: usize,
}

impl Left {
    fn add(&mut self, found: Vec<String>) {
        let room = AGAIN - self.again.len();
        self.beyond += found.len().saturating_sub(room);
        self.again.extend(found.into_iter().take(room));
    }
}

impl AppApi {
    /// At `url`, without a slash at its end, with an App API key.
    ///
    /// # Errors
    /// When the key cannot be one, or the system's certificates cannot be read.
    pub fn new(url: String, key: &str) -> Result<Self, MakeError> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))?;
        bearer.set_sensitive(true);
        let http = HttpClient::new(HttpClientOptions {
            timeout: TIMEOUT,
            idle_timeout: Duration::from_secs(30),
            idle_per_host: 1,
            max_body: MAX_ANSWER,
        })?;
        Ok(Self { http, url, bearer })
    }

    /// How many of `users` are there, asked again for half a minute as long as some are.
    ///
    /// # Errors
    /// When it does not say: unknown is not none.
    pub async fn left(
        &self,
        users: impl Iterator<Item = Result<String, JournalError>>,
    ) -> Result<usize, AppApiError> {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut left = self.those_left(users, &mut pace).await?;
        for pause in LOOK_AGAIN_AFTER {
            if left.again.is_empty() {
                break;
            }
            sleep(pause).await;
            let again = left.again.into_iter().map(Ok);
            left.again = self.those_left(again, &mut pace).await?.again;
        }
        Ok(left.again.len() + left.beyond)
    }

    async fn those_left(
        &self,
        mut users: impl Iterator<Item = Result<String, JournalError>>,
        pace: &mut Interval,
    ) -> Result<Left, AppApiError> {
        let mut left = Left::default();
        loop {
            let ids: Result<Vec<_>, _> = users.by_ref().take(AT_ONCE).collect();
            let ids = ids?;
            if ids.is_empty() {
                return Ok(left);
            }
            let answer = self.ask(&ids, pace).await?;
            left.add(found(&answer).ok_or(AppApiError::Read)?);
        }
    }

    async fn ask(&self, ids: &[String], pace: &mut Interval) -> Result<Bytes, AppApiError> {
        let mut send = 0;
        loop {
            pace.tick().await;
            let error = match self.send(ids).await {
                Ok((StatusCode::OK, body)) => return Ok(body),
                Ok((status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN), _)) => {
                    return Err(AppApiError::Authorize(status));
                }
                Ok((status, _)) => AppApiError::Answer(status),
                Err(error) => error.into(),
            };
            send += 1;
            if send == SENDS {
                return Err(error);
            }
            sleep(FIRST_PAUSE * send).await;
        }
    }

    async fn send(&self, ids: &[String]) -> Result<(StatusCode, Bytes), TransportError> {
        let request = Request::post(format!("{}/v1/customers/attributes", self.url))
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(json!({"ids": ids}).to_string().into()))
            .map_err(|error| TransportError::Connect(error.to_string()))?;
        let answer = self.http.send(request).await?;
        Ok((answer.status, answer.body))
    }
}

/// The ids of an answer's people; nothing where it is no such answer: then nobody knows who is left.
fn found(body: &[u8]) -> Option<Vec<String>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let people = body.get("customers")?.as_array()?.iter();
    people
        .map(|it| Some(it["customer"]["id"].as_str()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(users: &[String], most: usize) -> Vec<String> {
        let given = users.iter().cloned().map(Ok::<_, ()>);
        let sampled = sample(given, users.len(), most);
        sampled.map(Result::unwrap).collect()
    }

    #[test]
    fn only_so_many_are_asked_for_again_and_the_others_are_counted() {
        let mut left = Left::default();
        for _ in 0..AGAIN / AT_ONCE {
            left.add(vec![String::new(); AT_ONCE]);
        }
        left.add(vec![String::new(); 7]);
        assert_eq!((left.again.len(), left.beyond), (AGAIN, 7));
    }

    #[test]
    fn a_sample_is_spread_over_all() {
        let users: Vec<String> = (0..10).map(|it| it.to_string()).collect();
        for (most, expected) in [
            (0, &[][..]),
            (3, &["0", "3", "6"]),
            (5, &["0", "2", "4", "6", "8"]),
        ] {
            assert_eq!(sampled(&users, most), expected);
        }
        assert_eq!(sampled(&users, 11), users);
        assert!(sampled(&[], 3).is_empty());
    }

    #[test]
    fn those_that_exist_are_read_from_the_answer() {
        let body = json!({"customers": [{"customer": {"id": "a", "attributes": {}}}]}).to_string();
        assert_eq!(found(body.as_bytes()), Some(vec!["a".to_owned()]));
        assert_eq!(found(b"{\"customers\": []}"), Some(Vec::new()));
    }

    #[test]
    fn another_answer_does_not_say_that_nobody_is_left() {
        for body in [
            &b"<html>welcome</html>"[..],
            b"",
            b"{}",
            b"{\"customers\": null}",
            b"{\"customers\": [{\"customer\": {}}]}",
        ] {
            assert_eq!(found(body), None, "{body:?}");
        }
    }
}
