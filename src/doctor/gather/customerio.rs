//! One question to Customer.io that writes nothing: which region is this workspace in?

use bytes::Bytes;
use hyper::Method;
use hyper::header::DATE;
use jiff::Timestamp;
use serde_json::Value;

use crate::delivery::client::{Endpoint, Region, TrackClient};
use crate::delivery::credentials::Credentials;
use crate::delivery::encode::Call;
use crate::doctor::checks::customerio::Facts;
use crate::runtime::http_client::Answer;

/// What came of it.
#[derive(Debug)]
pub(in crate::doctor) struct Asked {
    pub(in crate::doctor) facts: Facts,
    /// The time in the answer's head.
    pub(in crate::doctor) date: Option<Timestamp>,
}

/// Asks the endpoint, and the other region's host where that may be the right one.
pub(in crate::doctor) async fn ask(
    set: Region,
    endpoint: &Endpoint,
    credentials: &Credentials,
) -> Result<Asked, String> {
    let answer = region(endpoint, credentials).await?;
    let status = answer.status.as_u16();
    let other = match set {
        Region::Us => Region::Eu,
        Region::Eu => Region::Us,
    };
    let refused = matches!(status, 401 | 403) && *endpoint == Endpoint::of(set);
    let elsewhere = if refused {
        let answer = region(&Endpoint::of(other), credentials).await;
        answer.ok().map(|answer| answer.status.as_u16())
    } else {
        None
    };
    let named = serde_json::from_slice::<Value>(&answer.body).ok();
    Ok(Asked {
        facts: Facts {
            set,
            status,
            named: named.and_then(|body| body["region"].as_str().map(str::to_owned)),
            elsewhere,
        },
        date: date(&answer),
    })
}

async fn region(endpoint: &Endpoint, credentials: &Credentials) -> Result<Answer, String> {
    let client = TrackClient::fixed(endpoint, credentials.clone(), 0);
    let client = client.map_err(|error| error.to_string())?;
    let call = Call {
        method: Method::GET,
        path: "/api/v1/accounts/region".to_owned(),
        body: Bytes::new(),
    };
    client.send(&call).await.map_err(|error| error.to_string())
}

fn date(answer: &Answer) -> Option<Timestamp> {
    let text = answer.headers.get(DATE)?.to_str().ok()?;
    Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, StatusCode};

    use super::*;

    #[test]
    fn an_http_date_is_read() {
        let answer = |text: &str| Answer {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(DATE, text.parse().unwrap())]),
            body: Bytes::new(),
        };
        let read = date(&answer("Tue, 14 Nov 2023 22:13:20 GMT"));
        assert_eq!(read, Some(Timestamp::from_second(1_700_000_000).unwrap()));
        assert_eq!(date(&answer("yesterday")), None);
    }
}
