//! One exchange with the Track API: a thin shell over the HTTP client.

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use tokio::sync::watch;

use super::credentials::Credentials;
use super::encode::Call;
use crate::runtime::http_client::{Answer, HttpClientOptions, TransportError};
use crate::runtime::http_connections::{Connection, HttpConnections};

const AGENT: &str = concat!("cio-operator/", env!("CARGO_PKG_VERSION"));
/// As Customer.io's own clients: for a connection, and again for the exchange over it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Below what load balancers keep a connection for, so that we close it and not they.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// An answer names at most the items of one batch.
const MAX_ANSWER: usize = 1024 * 1024;

/// Where a workspace's data is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Region {
    /// United States.
    #[default]
    Us,
    /// European Union.
    Eu,
}

impl Region {
    /// As it is written in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "us" => Ok(Self::Us),
            "eu" => Ok(Self::Eu),
            _ => Err("write us or eu".to_owned()),
        }
    }
}

/// The root of the Track API: scheme, host and perhaps a path, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The public host of a region.
    pub fn of(region: Region) -> Self {
        Self(match region {
            Region::Us => "https://track.customer.io".to_owned(),
            Region::Eu => "https://track-eu.customer.io".to_owned(),
        })
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// Takes what Customer.io's own Node client takes too, which wants `/api/v1` at the end.
    fn from_str(text: &str) -> Result<Self, String> {
        let root = text.trim_end_matches('/');
        let root = root.strip_suffix("/api/v1").unwrap_or(root);
        let uri: Uri = root.parse().map_err(|_| example())?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let plain =
            uri.query().is_none() && uri.authority().is_some_and(|a| !a.as_str().contains('@'));
        if known && plain {
            Ok(Self(root.to_owned()))
        } else {
            Err(example())
        }
    }
}

fn example() -> String {
    "write scheme and host alone, for example http://127.0.0.1:8080".to_owned()
}

/// A client of one workspace, cheap to clone.
#[derive(Debug, Clone)]
pub struct TrackClient {
    http: HttpConnections,
    /// The path of the endpoint, before that of a call.
    path: String,
    credentials: watch::Receiver<Arc<Credentials>>,
}

impl TrackClient {
    /// A client that keeps up to `connections` connections open.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(
        endpoint: &Endpoint,
        credentials: watch::Receiver<Arc<Credentials>>,
        connections: usize,
    ) -> io::Result<Self> {
        let root: Uri = endpoint.0.parse().map_err(io::Error::other)?;
        Ok(Self {
            http: HttpConnections::new(&endpoint.0, options(connections))?,
            path: root.path().trim_end_matches('/').to_owned(),
            credentials,
        })
    }

    /// A client with credentials that never change.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn fixed(
        endpoint: &Endpoint,
        credentials: Credentials,
        connections: usize,
    ) -> io::Result<Self> {
        // The sender may be gone: the last value stays.
        let (_, credentials) = watch::channel(Arc::new(credentials));
        Self::new(endpoint, credentials, connections)
    }

    /// Has a connection opened where none is idle.
    pub fn prepare(&self) {
        self.http.prepare();
    }

    /// A connection that takes a call at once.
    ///
    /// # Errors
    /// When none can be opened.
    pub async fn connection(&self) -> Result<Connection, TransportError> {
        self.http.connection().await
    }

    /// Sends `call` over `connection` with the credentials of this moment.
    ///
    /// # Errors
    /// When there is no answer; [`TransportError::Unsent`] where another connection is to be taken.
    pub async fn send_over(
        &self,
        connection: Connection,
        call: &Call,
    ) -> Result<Answer, TransportError> {
        let basic = self.credentials.borrow().basic();
        let request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.path, call.path))
            .header(AUTHORIZATION, basic)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .body(Full::new(call.body.clone()))
            .map_err(|error| TransportError::Connect(error.to_string()))?;
        connection.send(request).await
    }

    /// Sends `call` over whatever connection there is, for callers whose moment does not count.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, call: &Call) -> Result<Answer, TransportError> {
        loop {
            let connection = self.connection().await?;
            match self.send_over(connection, call).await {
                // Each connection that was idle says so once.
                Err(TransportError::Unsent) => {}
                answer => return answer,
            }
        }
    }
}

fn options(connections: usize) -> HttpClientOptions {
    HttpClientOptions {
        timeout: TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        idle_per_host: connections,
        max_body: MAX_ANSWER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_scheme_and_host() {
        for (text, root) in [
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://simulator/", Some("http://simulator")),
            ("http://simulator/api/v1", Some("http://simulator")),
            ("https://proxy/cio/", Some("https://proxy/cio")),
            ("simulator:8080", None),
            ("ftp://simulator", None),
            ("http://user:key@simulator", None),
            ("http://simulator/?a=b", None),
            ("", None),
        ] {
            let endpoint = text.parse::<Endpoint>().ok();
            assert_eq!(
                endpoint.map(|endpoint| endpoint.0).as_deref(),
                root,
                "{text}"
            );
        }
    }
}
