//! Real parts for the tests: a Redis server, Node programs. Each ends with the test.

pub(crate) mod http;
pub(crate) mod memory;
pub(crate) mod node;
pub(crate) mod process;
pub(crate) mod redis;
pub(crate) mod simulator;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Asks `probe` until it has an answer; panics with `what` after a minute without: on a machine that does
/// other things too, 20 seconds were not enough for what takes 5.
pub(crate) async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_mins(1), what, probe).await
}

/// Likewise, with another patience.
pub(crate) async fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
