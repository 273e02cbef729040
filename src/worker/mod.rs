//! One pod's worth of delivery: queue → delivery → outcome → queue.
//!
//! In: jobs from BullMQ. Out: each job completed, failed with a reason, or given back. What an
//! answer of Customer.io means is decided in `delivery`, not here. It never drops a job: whatever
//! it cannot finish stays in Redis, and another worker takes it.
//!
//! In reading order: [`settings`] → [`run`] → `consumer` (the loop over the queue) → `hand` (how
//! many jobs at once) → `processor` (one job) → `failures` (what is logged) → `keeper` (locks) →
//! `special` (jobs that BullMQ's own loop takes).

mod consumer;
mod failures;
mod hand;
mod health;
mod keeper;
pub mod metrics;
mod processor;
pub mod settings;
mod special;

use std::io;
use std::sync::Arc;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::consumer::Consumer;
use self::hand::Hand;
use self::keeper::Keeper;
pub use self::keeper::MAX_STALLED;
use self::metrics::WorkerMetrics;
use self::processor::Processor;
use self::settings::WorkerSettings;
use self::special::Special;
use crate::delivery::circuit::Breaker;
use crate::delivery::client::TrackClient;
use crate::delivery::credentials::CredentialsError;
use crate::delivery::engine::{Engine, EngineOptions, EngineParts, LINGER};
use crate::delivery::limiter::{Announcer, Limiter};
use crate::delivery::metrics::DeliveryMetrics;
use crate::queue::connection::Redis;
use crate::queue::counts::CountsReader;
use crate::queue::jobs::exchange::{JobQueue, Room};
use crate::queue::jobs::locks::Locks;
use crate::queue::jobs::marker::Marker;
use crate::queue::names::QueueKeys;
use crate::runtime::admin::{self, Readiness};
use crate::runtime::clock::Clock;
use crate::runtime::http_server;
use crate::runtime::run_script::RunScript;

/// Why a worker could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// There are no credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A metric cannot be registered.
    #[error("register metrics: {0}")]
    Register(#[from] prometheus::Error),
    /// The system's certificates cannot be read.
    #[error("read the system's certificates: {0}")]
    Certificates(io::Error),
    /// The pages cannot be served.
    #[error("serve metrics: {0}")]
    Serve(io::Error),
}

/// Delivers the queue's jobs, and serves `/metrics`, `/healthz` and `/readyz` on `listener`, until
/// `stop` is cancelled. Then it takes no more jobs, finishes the requests in flight and gives the
/// other jobs back, within the grace period. A Redis that does not answer is waited for.
pub async fn run(
    settings: WorkerSettings,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let registry = Registry::new();
    let metrics = DeliveryMetrics::new(&registry)?;
    let errors = WorkerMetrics::new(&registry)?;
    if let Some(traces) = &settings.traces {
        traces.register(&registry)?;
    }
    let readiness = Readiness::default();
    let pages_end = CancellationToken::new();
    let _end_pages = pages_end.clone().drop_guard();
    let router = admin::router(registry, readiness.clone());
    let pages = tokio::spawn(http_server::serve(listener, router, pages_end.clone()));

    let redis = Redis::new(settings.redis.clone());
    let halt = CancellationToken::new();
    let _halt_too = halt.clone().drop_guard();
    let breaker = Breaker::new(settings.hold, metrics.circuit.clone());
    let keys = QueueKeys::new(&settings.prefix, &settings.queue);
    let engine = engine(
        &settings,
        &redis,
        &keys,
        metrics.clone(),
        &breaker,
        halt.clone(),
    )
    .await?;
    let metrics = (metrics, errors.clone());
    let consumer = consumer(&settings, &redis, engine, breaker, metrics, halt);
    let keeper = Keeper {
        queue: settings.queue.clone(),
        locks: Locks::new(redis.clone(), keys.clone()),
        hand: consumer.hand.clone(),
        settings: settings.locks,
        metrics: errors,
    };
    let counts = CountsReader::new(redis, keys);
    readiness.ready();
    tokio::select! {
        () = Box::pin(consumer.run(&stop)) => {}
        () = keeper.run() => {}
        () = health::write(&counts, &settings) => {}
        served = pages => {
            let served = served.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            return served.map_err(WorkerError::Serve);
        }
    }
    readiness.not_ready();
    tracing::info!(queue.name = %settings.queue, "the worker has ended");
    Ok(())
}

async fn engine(
    settings: &WorkerSettings,
    redis: &Redis,
    keys: &QueueKeys,
    metrics: DeliveryMetrics,
    breaker: &Breaker,
    halt: CancellationToken,
) -> Result<Engine, WorkerError> {
    let delivery = &settings.delivery;
    let credentials = delivery.credentials.clone().watch(halt.clone()).await?;
    let store: Arc<dyn RunScript> = Arc::new(redis.clone());
    let limiter = (delivery.requests_per_second > 0).then(|| {
        let announcer = Announcer {
            store: Arc::clone(&store),
            region: delivery.region,
            credentials: credentials.clone(),
            whose: keys.base().to_owned(),
        };
        let (halt, circumstance) = (halt.clone(), breaker.circumstance());
        tokio::spawn(async move { halt.run_until_cancelled(announcer.run(circumstance)).await });
        Limiter::new(
            store,
            delivery.region,
            credentials.clone(),
            delivery.requests_per_second,
            metrics.limit.clone(),
        )
    });
    let in_flight = delivery.requests_in_flight();
    let client = TrackClient::new(&delivery.endpoint, credentials, in_flight)
        .map_err(WorkerError::Certificates)?;
    let options = EngineOptions {
        mode: delivery.mode,
        in_flight,
        linger: LINGER,
    };
    let parts = EngineParts {
        client,
        limiter,
        metrics,
        clock: Clock::system(),
        breaker: breaker.clone(),
    };
    Ok(Engine::start(options, parts, halt))
}

fn consumer(
    settings: &WorkerSettings,
    redis: &Redis,
    engine: Engine,
    breaker: Breaker,
    (metrics, errors): (DeliveryMetrics, WorkerMetrics),
    halt: CancellationToken,
) -> Consumer {
    let WorkerSettings {
        prefix,
        queue,
        delivery,
        ..
    } = settings;
    let most = Room {
        jobs: delivery.jobs_at_once(),
        bytes: delivery.bytes_at_once(),
    };
    let hand = Hand::new(most, metrics.in_flight_bytes.clone());
    let processor = Processor {
        engine: engine.clone(),
        mode: delivery.mode,
        queue: format!("{prefix}:{queue}"),
        metrics,
    };
    let special = Special::new(settings.clone(), processor.clone(), hand.clone());
    let (lock, kept) = (settings.locks.duration, settings.retention);
    Consumer {
        id: format!("{:032x}", rand::random::<u128>()),
        queue: JobQueue::new(redis.clone(), QueueKeys::new(prefix, queue), lock, kept),
        marker: Marker::new(settings.redis.clone(), prefix, queue),
        settings: settings.clone(),
        processor,
        special: Arc::new(special),
        engine,
        breaker,
        hand,
        halt,
        metrics: errors,
    }
}
