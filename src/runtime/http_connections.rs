//! Connections to one host, for whoever sends thousands of requests a second from one task: the
//! exchange of [`super::http_client`] without what a general pool does for each request, and in two
//! steps, so that a request whose moment counts is sent over a connection that is there.
//!
//! Like it: a time limit, a bound on what is read, no redirect, no retry. That a connection was
//! closed while it was idle is told by an error of its own.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::Instant;
use tower::ServiceExt;

use super::http_client::{
    Answer, HttpClientOptions, TransportError, connector, in_time, with_causes,
};

/// Idle connections to one host, the last one that was used first; cheap to clone. Connections are
/// driven by the runtime that they were opened in.
#[derive(Debug, Clone)]
pub struct HttpConnections {
    connector: HttpsConnector<HttpConnector>,
    root: Uri,
    host: HeaderValue,
    options: HttpClientOptions,
    idle: Arc<Mutex<Vec<Idle>>>,
    /// Connections that [`HttpConnections::prepare`] is opening.
    opening: Arc<AtomicUsize>,
}

type Sender = SendRequest<Full<Bytes>>;

/// One of them, for one request.
#[derive(Debug)]
pub struct Connection {
    pool: HttpConnections,
    sender: Sender,
    /// When it was last used, or opened.
    since: Instant,
    /// Whether it has been idle.
    used: bool,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

impl Idle {
    fn new(sender: Sender) -> Self {
        let since = Instant::now();
        Self { sender, since }
    }
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
            opening: Arc::default(),
        })
    }

    /// A connection that takes a request: an idle one, or a new one.
    ///
    /// # Errors
    /// When none can be opened within the time limit.
    pub async fn connection(&self) -> Result<Connection, TransportError> {
        self.in_time(async {
            while let Some(mut idle) = self.take() {
                if idle.sender.ready().await.is_ok() {
                    return Ok(self.connected(idle, true));
                }
            }
            // On the heap: it is seldom needed, and as large as a handshake.
            let opened = Box::pin(self.open()).await?;
            Ok(self.connected(Idle::new(opened), false))
        })
        .await
    }

    /// Opens one in the background where none is idle, for whoever is soon to ask for one. Should
    /// that fail, who asks finds out why.
    pub fn prepare(&self) {
        let most = self.options.idle_per_host;
        let free = |opening: usize| (opening < most).then_some(opening + 1);
        let some = !self.idle().is_empty();
        if some || self.opening.fetch_update(Relaxed, Relaxed, free).is_err() {
            return;
        }
        let pool = self.clone();
        tokio::spawn(async move {
            if let Ok(sender) = pool.in_time(pool.open()).await {
                pool.put_back(sender);
            }
            pool.opening.fetch_sub(1, Relaxed);
        });
    }

    fn connected(&self, idle: Idle, used: bool) -> Connection {
        Connection {
            pool: self.clone(),
            sender: idle.sender,
            since: idle.since,
            used,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        in_time(self.options.timeout, work).await
    }

    fn take(&self) -> Option<Idle> {
        let mut idle = self.idle();
        let last = idle.pop()?;
        if last.since.elapsed() < self.options.idle_timeout {
            return Some(last);
        }
        // All the others are idle for longer still.
        idle.clear();
        None
    }

    fn put_back(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < self.options.idle_per_host {
            idle.push(Idle::new(sender));
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

impl Connection {
    /// Whether the host has closed it meanwhile, or what lies between may have forgotten it.
    pub fn is_stale(&self) -> bool {
        self.sender.is_closed() || self.since.elapsed() >= self.pool.options.idle_timeout
    }

    /// Sends one request, of which the URI is a path alone, and reads the whole answer. Then the
    /// connection is idle again.
    ///
    /// # Errors
    /// When there is no answer. [`TransportError::Unsent`] comes only from a connection that had
    /// been idle: each is met once.
    pub async fn send(self, request: Request<Full<Bytes>>) -> Result<Answer, TransportError> {
        let pool = self.pool.clone();
        pool.in_time(self.exchange(request)).await
    }

    async fn exchange(
        mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Answer, TransportError> {
        request.headers_mut().insert(HOST, self.pool.host.clone());
        let sent = self.sender.try_send_request(request).await;
        let response = sent.map_err(|mut error| {
            // Nothing of a request was sent where it comes back.
            if self.used && error.take_message().is_some() {
                TransportError::Unsent
            } else {
                TransportError::Broken(with_causes(&error.into_error()))
            }
        })?;
        let answer = Answer::read(response, self.pool.options.max_body).await?;
        self.pool.put_back(self.sender);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
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
        connections.connection().await?.send(request).await
    }

    #[tokio::test]
    async fn a_connection_is_used_again_and_one_that_was_closed_is_replaced() {
        let (root, count) = server(3, "{}").await;
        let connections = HttpConnections::new(&root, options()).unwrap();
        let mut answers = 0;
        while answers < 7 {
            match ask(&connections).await {
                Ok(answer) => {
                    assert_eq!(&answer.body[..], b"{}");
                    answers += 1;
                }
                Err(error) => assert!(matches!(error, TransportError::Unsent), "{error}"),
            }
        }
        assert_eq!(*count.lock().unwrap(), 3);
    }

    #[tokio::test]
    async fn one_that_was_prepared_is_there_at_once_and_too_old_a_one_is_stale() {
        let (root, count) = server(1, "{}").await;
        let brief = HttpClientOptions {
            idle_timeout: Duration::from_millis(200),
            ..options()
        };
        let connections = HttpConnections::new(&root, brief).unwrap();
        connections.prepare();
        while connections.idle().is_empty() {
            tokio::task::yield_now().await;
        }
        // One is enough.
        connections.prepare();
        let connection = connections.connection().now_or_never().unwrap().unwrap();
        assert!(!connection.is_stale());
        tokio::time::sleep(brief.idle_timeout).await;
        assert!(connection.is_stale());
        assert_eq!(
            (connections.opening.load(Relaxed), *count.lock().unwrap()),
            (0, 1)
        );
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
