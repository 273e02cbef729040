//! Connections to one host, for whoever sends thousands of requests a second from one task: the
//! exchange of [`super::http_client`] without what a general pool does for each request.
//!
//! Like it: one time limit for a whole exchange, a bound on what is read, no redirect, no retry, but
//! for a connection that turns out to have been closed while it was idle.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::Instant;
use tower::ServiceExt;

use super::http_client::{Answer, HttpClientOptions, TransportError, connector, with_causes};

/// Idle connections to one host, the last one that was used first; cheap to clone. Connections are
/// driven by the runtime that they were opened in.
#[derive(Debug, Clone)]
pub struct HttpConnections {
    connector: HttpsConnector<HttpConnector>,
    root: Uri,
    host: HeaderValue,
    options: HttpClientOptions,
    idle: Arc<Mutex<Vec<Idle>>>,
}

type Sender = SendRequest<Full<Bytes>>;

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

impl HttpConnections {
    /// To the host of `root`, a whole URI.
    ///
    /// # Errors
    /// When the system's certificate store cannot be read, or `root` has no host.
    pub fn new(root: &str, options: HttpClientOptions) -> io::Result<Self> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "the address has no host");
        let root: Uri = root.parse().map_err(|_| invalid())?;
        let authority = root.authority().ok_or_else(invalid)?.as_str();
        let host = HeaderValue::from_str(authority).map_err(|_| invalid())?;
        Ok(Self {
            connector: connector(options.timeout)?,
            root,
            host,
            options,
            idle: Arc::default(),
        })
    }

    /// Sends one request, of which the URI is a path alone, and reads the whole answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, TransportError> {
        let limit = self.options.timeout;
        tokio::time::timeout(limit, self.exchange(request))
            .await
            .unwrap_or(Err(TransportError::Timeout(limit)))
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, TransportError> {
        request.headers_mut().insert(HOST, self.host.clone());
        let broken = |error: hyper::Error| TransportError::Broken(with_causes(&error));
        let mut sender = self.ready().await?;
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => {
                // Nothing of it was sent where it comes back: the connection was closed before.
                let Some(request) = error.take_message() else {
                    return Err(broken(error.into_error()));
                };
                sender = self.open().await?;
                sender.send_request(request).await.map_err(broken)?
            }
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.options.max_body)
            .collect()
            .await
            .map_err(|error| TransportError::Body(error.to_string()))?
            .to_bytes();
        self.put_back(sender);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// A connection that takes a request: an idle one, or a new one.
    async fn ready(&self) -> Result<Sender, TransportError> {
        while let Some(mut sender) = self.take() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        self.open().await
    }

    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let last = idle.pop()?;
        if last.since.elapsed() < self.options.idle_timeout {
            return Some(last.sender);
        }
        // All the others are idle for longer still.
        idle.clear();
        None
    }

    fn put_back(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.options.idle_per_host {
            idle.push(Idle { sender, since });
        }
    }

    async fn open(&self) -> Result<Sender, TransportError> {
        let connect = self.connector.clone().oneshot(self.root.clone());
        let stream = connect
            .await
            .map_err(|error| TransportError::Connect(with_causes(&*error)))?;
        let (sender, connection) = handshake(stream)
            .await
            .map_err(|error| TransportError::Connect(with_causes(&error)))?;
        // Its errors are those of the request that is under way.
        tokio::spawn(async move { connection.await.ok() });
        Ok(sender)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn options() -> HttpClientOptions {
        HttpClientOptions {
            timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(5),
            idle_per_host: 2,
            max_body: 16,
        }
    }

    /// Answers `requests` on each connection, then closes it; counts the connections.
    async fn server(requests: usize, body: &'static str) -> (String, Arc<Mutex<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        let count = Arc::new(Mutex::new(0));
        let connections = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                *count.lock().unwrap() += 1;
                for _ in 0..requests {
                    let mut buffer = [0; 4096];
                    let read = stream.read(&mut buffer).await.unwrap();
                    let text = String::from_utf8_lossy(&buffer[..read]);
                    assert!(text.contains("host: 127.0.0.1:"), "{text}");
                    let length = body.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (root, connections)
    }

    async fn ask(connections: &HttpConnections) -> Result<Answer, TransportError> {
        let request = Request::get("/x").body(Full::default()).unwrap();
        connections.send(request).await
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_one_that_was_closed_is_replaced() {
        let (root, count) = server(3, "{}").await;
        let connections = HttpConnections::new(&root, options()).unwrap();
        for _ in 0..7 {
            assert_eq!(&ask(&connections).await.unwrap().body[..], b"{}");
        }
        assert_eq!(*count.lock().unwrap(), 3);
    }

    #[tokio::test]
    async fn a_long_answer_and_nobody_who_listens_are_errors() {
        let (root, _) = server(1, "more than sixteen bytes").await;
        let connections = HttpConnections::new(&root, options()).unwrap();
        let error = ask(&connections).await.unwrap_err();
        assert!(matches!(error, TransportError::Body(_)), "{error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let root = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let connections = HttpConnections::new(&root, options()).unwrap();
        let error = ask(&connections).await.unwrap_err();
        assert!(matches!(error, TransportError::Connect(_)), "{error}");
    }
}
