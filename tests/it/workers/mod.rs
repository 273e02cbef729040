//! Several worker processes on one workspace: what they share, and what each of them says of itself.

mod clocks;
mod numbers;
mod recovery;
mod shares;

use std::collections::BTreeMap;

use bullmq::Queue;
use cio_operator::delivery::client::Region;
use cio_operator::delivery::limiter::limit_key;

use crate::support::process::Cio;
use crate::support::redis::{RedisServer, free_port};
use crate::support::simulator::SimulatorProcess;
use crate::support::{eventually, http};
use crate::worker::bench::{QUEUE, queue_named};

const SITE: &str = "site";

/// Workers that deliver from one Redis to one simulator.
struct Fleet {
    server: RedisServer,
    simulator: SimulatorProcess,
    workers: Vec<(String, Cio)>,
}

impl Fleet {
    /// Without a worker; the simulator has these arguments.
    async fn new(simulator: &[&str]) -> Self {
        Self {
            server: RedisServer::start(),
            simulator: SimulatorProcess::start(simulator).await,
            workers: Vec::new(),
        }
    }

    /// Another worker, in single mode unless the variables say otherwise; waits until it has begun.
    async fn work(&mut self, variables: &[(&str, &str)]) {
        let (url, port) = (self.server.url(), free_port().to_string());
        let own = [
            ("REDIS_URL", url.as_str()),
            ("CIO_QUEUE", QUEUE),
            ("CUSTOMERIO_SITE_ID", SITE),
            ("CUSTOMERIO_TRACK_API_KEY", "key"),
            ("CUSTOMERIO_TRACK_URL", &self.simulator.url),
            ("CIO_DELIVERY_MODE", "single"),
            ("CIO_REQUESTS_PER_SECOND", "0"),
            ("CIO_METRICS_PORT", &port),
        ];
        let process = Cio::start(&["worker"], &[&own, variables].concat());
        let page = format!("http://127.0.0.1:{port}/metrics");
        eventually("a worker", async || http::get(&page).await).await;
        self.workers.push((page, process));
    }

    /// The queue with this name, as a producer has it.
    async fn queue(&self, name: &str) -> Queue {
        queue_named(&self.server, name).await
    }

    /// What a worker's page says, by series.
    async fn metrics(&self, worker: usize) -> BTreeMap<String, f64> {
        let (_, text) = http::get(&self.workers[worker].0).await.expect("a page");
        let series = text.lines().filter(|line| !line.starts_with('#'));
        series
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a series");
                (series.to_owned(), value.parse().expect("a number"))
            })
            .collect()
    }

    /// How many of each worker's requests Customer.io accepted.
    async fn accepted(&self) -> Vec<u64> {
        let mut accepted = Vec::new();
        for worker in 0..self.workers.len() {
            let page = self.metrics(worker).await;
            accepted.push(count(
                &page,
                r#"cio_delivery_requests_total{status_class="2xx"}"#,
            ));
        }
        accepted
    }

    /// A field of the workspace's limit, once it is there; it is the only limit there is.
    async fn limit<T: redis::FromRedisValue>(&self, field: &str) -> Option<T> {
        let keys: Vec<String> = self.server.ask(&["KEYS", "cio:*:limit"]).await;
        let key = keys.first()?;
        assert_eq!(keys, [limit_key(Region::Us, SITE)]);
        self.server.ask(&["HGET", key, field]).await
    }

    /// Ends the workers, and looks that they end well.
    fn end(&mut self) {
        for (_, worker) in self.workers.drain(..) {
            let (code, log) = worker.terminate();
            assert_eq!(code, Some(0), "{log}");
        }
    }
}

/// A series that counts.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of a test's run is a small whole number"
)]
fn count(page: &BTreeMap<String, f64>, series: &str) -> u64 {
    let value = page.get(series);
    *value.unwrap_or_else(|| panic!("no {series} in {page:?}")) as u64
}
