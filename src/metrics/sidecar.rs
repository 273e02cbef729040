//! The parts put together: poller → latest reading → pages and log.

use std::io;
use std::time::Duration;

use prometheus::{IntCounter, Opts, Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::collector::QueueCollector;
use super::latest::{Latest, Names};
use super::limit::{LastUse, LimitFollower, LimitSource};
use super::poller::{Poller, write_health};
use super::routes;
use crate::queue::counts::CountsReader;
use crate::queue::names::QueueName;
use crate::runtime::admin::Readiness;
use crate::runtime::clock::Clock;
use crate::runtime::http_server;

/// Why the sidecar ended.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// A metric cannot be registered.
    #[error("register metrics: {0}")]
    Register(#[from] prometheus::Error),
    /// The pages cannot be served.
    #[error("serve metrics: {0}")]
    Serve(#[from] io::Error),
}

/// When things happen.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Between two readings.
    pub interval: Duration,
    /// A reading older than this counts for nothing.
    pub stale_after: Duration,
    /// Between two health lines in the log.
    pub health_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            stale_after: Duration::from_secs(30),
            health_every: Duration::from_secs(30),
        }
    }
}

/// One queue's sidecar.
#[derive(Debug)]
pub struct Sidecar {
    /// Reads the queue.
    pub reader: CountsReader,
    /// The workspace's limit; none where the worker is another's, or has no limit.
    pub limit: Option<LimitSource>,
    /// The label `pipeline`.
    pub pipeline: String,
    /// The label `queue`.
    pub queue: QueueName,
    /// When things happen.
    pub timing: Timing,
    /// For the time of a reading.
    pub clock: Clock,
}

impl Sidecar {
    /// Serves on `listener` until `stop` is cancelled, whatever becomes of Redis meanwhile.
    pub async fn run(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<(), MetricsError> {
        let Timing {
            interval,
            stale_after,
            health_every,
        } = self.timing;
        let names = Names {
            pipeline: self.pipeline,
            queue: self.queue.to_string(),
        };
        let (readings, latest) = Latest::new(stale_after);
        let (registry, errors) = register(&names, &latest)?;
        let (reader, clock) = (self.reader, self.clock);
        let poller = Poller {
            reader,
            limit: self.limit.map(LimitFollower::new),
            last_use: LastUse::default(),
            clock,
            readings,
            errors,
        };
        let readiness = Readiness::default();
        readiness.ready();
        let address = listener.local_addr()?;
        tracing::info!(queue.name = %self.queue, http.address = %address, "serving metrics");
        let queue = names.queue;
        let router = routes::router(registry, readiness);
        tokio::select! {
            () = poller.run(interval) => Ok(()),
            () = write_health(latest, queue, health_every) => Ok(()),
            served = http_server::serve(listener, router, stop) => Ok(served?),
        }
    }
}

fn register(names: &Names, latest: &Latest) -> prometheus::Result<(Registry, IntCounter)> {
    let registry = Registry::new();
    let collector = QueueCollector::new(names.clone(), latest.clone())?;
    registry.register(Box::new(collector))?;
    let help = "Readings of the queue or of the limit that failed.";
    let options = Opts::new("cio_queue_scrape_errors_total", help)
        .const_label("pipeline", &names.pipeline)
        .const_label("queue", &names.queue);
    let errors = IntCounter::with_opts(options)?;
    registry.register(Box::new(errors.clone()))?;
    Ok((registry, errors))
}
