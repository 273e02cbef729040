//! Asking a page.

use std::time::Duration;

use bytes::Bytes;
use cio_operator::runtime::http_client::{HttpClient, HttpClientOptions};
use http_body_util::Full;
use hyper::Request;
use hyper::http::request::Builder;

/// The status and text of `url`; nothing where nobody answers.
pub(crate) async fn get(url: &str) -> Option<(u16, String)> {
    send(Request::get(url), String::new()).await
}

/// Likewise, of what is put there.
pub(crate) async fn put(url: &str, body: String) -> Option<(u16, String)> {
    send(Request::put(url), body).await
}

async fn send(request: Builder, body: String) -> Option<(u16, String)> {
    let options = HttpClientOptions {
        timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(1),
        idle_per_host: 0,
        max_body: 1 << 23,
    };
    let client = HttpClient::new(options).expect("a client");
    let body = Full::new(Bytes::from(body));
    let request = request.body(body).expect("a request");
    let answer = client.send(request).await.ok()?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    Some((answer.status.as_u16(), text))
}
