//! An HTTP/1.1 client with a pool, one time limit for a whole exchange and a bound on what it reads.
//!
//! It follows no redirect and retries nothing: what an answer means is decided elsewhere.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// How a client behaves; every number bounds something.
#[derive(Debug, Clone, Copy)]
pub struct HttpClientOptions {
    /// From the first byte sent to the last byte read.
    pub timeout: Duration,
    /// A pooled connection idle for longer is closed; keep it below the server's own limit.
    pub idle_timeout: Duration,
    /// Idle connections kept for each host.
    pub idle_per_host: usize,
    /// Bytes of an answer's body; a longer one is an error.
    pub max_body: usize,
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers, as received.
    pub headers: HeaderMap,
    /// The body, at most [`HttpClientOptions::max_body`] bytes.
    pub body: Bytes,
}

impl Answer {
    /// Reads a response to its end.
    pub(super) async fn read(
        response: Response<Incoming>,
        max_body: usize,
    ) -> Result<Self, TransportError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, max_body)
            .collect()
            .await
            .map_err(|error| TransportError::Body(error.to_string()))?
            .to_bytes();
        Ok(Self {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Nothing, or not all of it, came within the time limit.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection could not be made: no byte of the request was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection was closed while it was idle: no byte of the request was sent. Another one
    /// can be taken at once.
    #[error("the connection was closed while it was idle")]
    Unsent,
    /// The connection broke while the exchange was under way: the request may have been accepted.
    #[error("connection broken: {0}")]
    Broken(String),
    /// The answer's body is longer than the bound, or broke off.
    #[error("cannot read the answer: {0}")]
    Body(String),
}

/// A pooled client, cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    options: HttpClientOptions,
}

impl HttpClient {
    /// A client that speaks http and https, trusting the system's certificate authorities.
    ///
    /// # Errors
    /// When the system's certificate store cannot be read.
    pub fn new(options: HttpClientOptions) -> std::io::Result<Self> {
        let connector = connector(options.timeout)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_timeout)
            .pool_max_idle_per_host(options.idle_per_host)
            .build(connector);
        Ok(Self { client, options })
    }

    /// Sends one request and reads the whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, TransportError> {
        in_time(self.options.timeout, self.exchange(request)).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, TransportError> {
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                TransportError::Connect(with_causes(&error))
            } else {
                TransportError::Broken(with_causes(&error))
            }
        })?;
        Answer::read(response, self.options.max_body).await
    }
}

/// What comes of `work`, unless that takes longer than `limit`.
pub(super) async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, TransportError>>,
) -> Result<T, TransportError> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(TransportError::Timeout(limit)))
}

/// Opens connections, of http and of https.
pub(super) fn connector(
    connect_timeout: Duration,
) -> std::io::Result<HttpsConnector<HttpConnector>> {
    Ok(HttpsConnectorBuilder::new()
        .with_native_roots()?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp(connect_timeout)))
}

fn tcp(connect_timeout: Duration) -> HttpConnector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(connect_timeout));
    http
}

/// An error with the chain of its causes: hyper's own text is only "client error (Connect)".
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
