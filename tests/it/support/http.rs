//! Asking a page.

use std::time::Duration;

use bytes::Bytes;
use cio_operator::runtime::http_client::{HttpClient, HttpClientOptions};
use http_body_util::Full;
use hyper::Request;

/// The status and text of `url`; nothing where nobody answers.
pub(crate) async fn get(url: &str) -> Option<(u16, String)> {
    let options = HttpClientOptions {
        timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(1),
        idle_per_host: 0,
        max_body: 1 << 20,
    };
    let client = HttpClient::new(options).expect("a client");
    let request = Request::get(url)
        .body(Full::<Bytes>::default())
        .expect("a request");
    let answer = client.send(request).await.ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    Some((answer.status.as_u16(), text))
}
