//! Asking pods over HTTP: a sidecar for the depth of its queue, any container of ours for its page.
//!
//! Every sidecar of a pipeline reads the same queue, so that one answer is enough.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode};
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::limit::Limit;
use super::reading::{Reading, Unknown, interpret};
use super::silent::Silent;
use crate::runtime::http_client::{HttpClient, HttpClientOptions};

/// Sidecars asked before giving up.
const ATTEMPTS: usize = 2;
/// What is waited for a second sidecar that may know the limit: the depth is there already.
const LIMIT_PATIENCE: Duration = Duration::from_millis(250);
/// One second for an answer of at most 64 KiB. There may be thousands of sidecars, each asked once in
/// many seconds: no connection to them is kept, for its buffers take more memory than a pod's entry
/// does.
const OPTIONS: HttpClientOptions = HttpClientOptions {
    timeout: Duration::from_secs(1),
    idle_timeout: Duration::ZERO,
    idle_per_host: 0,
    max_body: 64 * 1024,
};

/// Who asks, and remembers who did not answer.
#[derive(Debug)]
pub struct PodClient {
    http: HttpClient,
    silent: Silent,
}

impl PodClient {
    /// One that has asked nobody yet.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            http: HttpClient::new(OPTIONS)?,
            silent: Silent::default(),
        })
    }

    /// Asks the first of `sidecars`, and the second when the first cannot tell, or is too new to know
    /// how much of the limit is used; those that were silent lately come after the others. One that
    /// counts for another pipeline than this cannot tell: an address is another pod's once its pod is
    /// gone. Takes at most two seconds.
    ///
    /// # Errors
    /// Why the depth is not known: what the sidecar that could be reached said, else the first one.
    pub async fn read_depth(
        &self,
        pipeline: &str,
        sidecars: &[SocketAddr],
        now: Timestamp,
    ) -> Result<Reading, Unknown> {
        let ask = async |sidecar| self.ask(pipeline, sidecar, now).await;
        let mut unknown = Unknown::NoReadySidecar;
        let sidecars = self.silent.come_last(sidecars, Instant::now());
        let mut left = sidecars.into_iter().take(ATTEMPTS);
        while let Some(sidecar) = left.next() {
            match ask(sidecar).await {
                Ok(first) if first.limit_is_coming => {
                    let Some(sidecar) = left.next() else {
                        return Ok(first.reading);
                    };
                    let was_silent = self.silent.is_silent(sidecar, Instant::now());
                    let second = timeout(LIMIT_PATIENCE, ask(sidecar)).await;
                    if second.is_err() && !was_silent {
                        // One that is only slow is not silent.
                        self.silent.answered(sidecar);
                    }
                    return Ok(with_a_limit(first, second.ok().and_then(Result::ok)));
                }
                Ok(answer) => return Ok(answer.reading),
                Err(Unknown::SidecarUnreachable(_)) if unknown != Unknown::NoReadySidecar => {}
                Err(reason) => unknown = reason,
            }
        }
        Err(unknown)
    }

    async fn ask(
        &self,
        pipeline: &str,
        sidecar: SocketAddr,
        now: Timestamp,
    ) -> Result<Answer, Unknown> {
        // Before the answer: who asks may be given up while it waits.
        self.silent.asked(sidecar, Instant::now());
        let page = self.page(sidecar).await;
        if !matches!(page, Err(Unknown::SidecarUnreachable(_))) {
            self.silent.answered(sidecar);
        }
        let text = page?;
        Ok(Answer {
            reading: interpret(&text, pipeline, now)?,
            limit_is_coming: Limit::is_coming(&text),
        })
    }

    /// A pod's metrics, as text.
    ///
    /// # Errors
    /// When it does not answer with a page of text within a second.
    pub(crate) async fn page(&self, address: SocketAddr) -> Result<String, Unknown> {
        let request = Request::get(format!("http://{address}/metrics"))
            .body(Full::<Bytes>::default())
            .map_err(|error| Unknown::SidecarUnreachable(error.to_string()))?;
        let answer = self.http.send(request).await;
        let answer = answer.map_err(|error| Unknown::SidecarUnreachable(error.to_string()))?;
        if answer.status != StatusCode::OK {
            let status = format!("HTTP status {}", answer.status);
            return Err(Unknown::InvalidAnswer(status));
        }
        String::from_utf8(answer.body.into())
            .map_err(|_| Unknown::InvalidAnswer("the answer is not text".to_owned()))
    }
}

/// What one sidecar says.
#[derive(Debug, Clone, Copy)]
struct Answer {
    reading: Reading,
    /// It follows the limit, and will know it at its next reading.
    limit_is_coming: bool,
}

/// Of two answers the one that knows the limit.
fn with_a_limit(first: Answer, second: Option<Answer>) -> Reading {
    let knows = |answer: &Answer| answer.reading.limit.is_some();
    second.filter(knows).unwrap_or(first).reading
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_764_000_000).unwrap()
    }

    #[test]
    fn of_two_answers_the_one_that_knows_the_limit_counts() {
        let limit = Some(Limit {
            requests_per_second: 80.0,
            used_ratio: 0.98,
            circuit_open: false,
        });
        let answer = |depth, limit| Answer {
            reading: Reading {
                depth,
                read_at: now(),
                limit,
            },
            limit_is_coming: true,
        };
        for (what, second, expected) in [
            ("the second knows it", Some(answer(2, limit)), (2, limit)),
            ("neither does", Some(answer(2, None)), (1, None)),
            ("the second is silent", None, (1, None)),
        ] {
            let found = with_a_limit(answer(1, None), second);
            assert_eq!((found.depth, found.limit), expected, "{what}");
        }
    }

    #[tokio::test]
    async fn nobody_to_ask_is_a_reason_of_its_own() {
        let client = PodClient::new().unwrap();
        let unknown = client.read_depth("events", &[], now()).await.unwrap_err();
        assert_eq!(unknown.reason(), "NoReadySidecar");
    }

    /// Answers every connection with the depth 7.
    async fn serve(listener: TcpListener) {
        let body = format!(
            "cio_queue_depth 7\ncio_queue_read_timestamp_seconds {}\n",
            now().as_second()
        );
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            // Unread, it would be answered with a reset.
            assert!(connection.read(&mut [0; 4096]).await.unwrap() > 0);
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn two_that_are_silent_are_asked_after_the_third_next_time() {
        let dead = [listen().await, listen().await];
        let alive = listen().await;
        let addresses = [&dead[0], &dead[1], &alive].map(|it| it.local_addr().unwrap());
        let server = tokio::spawn(serve(alive));
        let client = PodClient::new().unwrap();
        let ask = async || client.read_depth("events", &addresses, now()).await;
        assert_eq!(ask().await.unwrap_err().reason(), "SidecarUnreachable");
        assert_eq!(ask().await.unwrap().depth, 7);
        server.abort();
    }

    /// Connections to it wait for ever, as those to a pod of a node that hangs.
    async fn listen() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }
}
