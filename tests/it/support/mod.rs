//! Real parts for the tests: a Redis server, Node programs. Each ends with the test.

pub(crate) mod http;
pub(crate) mod node;
pub(crate) mod process;
pub(crate) mod redis;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks `probe` until it has an answer; panics with `what` after 20 seconds without.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
