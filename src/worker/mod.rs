//! One pod's worth of delivery: queue → delivery → outcome → queue.
//!
//! In: jobs from BullMQ. Out: each job completed, failed with a reason, or given back. What an
//! answer of Customer.io means is decided in `delivery`, not here. It never drops a job: whatever
//! it cannot finish stays in Redis, and another worker takes it.
//!
//! In reading order: [`settings`] → [`run`] → `consumer` (BullMQ's loop, started and ended) →
//! `processor` (one job) → `intake` (how many jobs at once) → `failures` (what is logged).

mod consumer;
mod failures;
mod health;
mod intake;
mod limit_store;
mod origin;
mod processor;
pub mod settings;

use std::io;
use std::sync::Arc;

use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::consumer::Consumer;
use self::failures::Failures;
use self::intake::Intake;
use self::limit_store::RedisLimit;
use self::origin::Origin;
use self::processor::Processor;
use self::settings::WorkerSettings;
use crate::delivery::circuit::Breaker;
use crate::delivery::client::TrackClient;
use crate::delivery::credentials::CredentialsError;
use crate::delivery::engine::{Engine, EngineOptions, EngineParts, LINGER};
use crate::delivery::limiter::Limiter;
use crate::delivery::metrics::DeliveryMetrics;
use crate::queue::connection::Redis;
use crate::queue::counts::CountsReader;
use crate::queue::names::QueueKeys;
use crate::runtime::admin::{self, Readiness};
use crate::runtime::clock::Clock;
use crate::runtime::http_server;

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
    /// BullMQ refuses the settings of the queue.
    #[error("BullMQ refuses to consume the queue: {0}")]
    Consume(String),
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
    let engine = engine(&settings, &redis, metrics.clone(), &breaker, halt.clone()).await?;
    let consumer = consumer(&settings, engine, breaker, metrics, halt);
    let keys = QueueKeys::new(&settings.prefix, &settings.queue);
    let counts = CountsReader::new(redis, keys);
    readiness.ready();
    tokio::select! {
        outcome = consumer.run(&counts, &stop) => outcome?,
        () = health::write(&counts, &settings) => {}
        served = pages => return served.map_or(Ok(()), |served| served.map_err(WorkerError::Serve)),
    }
    readiness.not_ready();
    tracing::info!(queue.name = %settings.queue, "the worker has ended");
    Ok(())
}

async fn engine(
    settings: &WorkerSettings,
    redis: &Redis,
    metrics: DeliveryMetrics,
    breaker: &Breaker,
    halt: CancellationToken,
) -> Result<Engine, WorkerError> {
    let delivery = &settings.delivery;
    let credentials = delivery.credentials.clone().watch(halt.clone()).await?;
    let limiter = (delivery.requests_per_second > 0).then(|| {
        Limiter::new(
            Arc::new(RedisLimit(redis.clone())),
            delivery.region,
            credentials.clone(),
            delivery.requests_per_second,
            metrics.limit.clone(),
        )
    });
    let in_flight = delivery.requests_in_flight();
    let client = TrackClient::new(delivery.endpoint.clone(), credentials, in_flight)
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
    engine: Engine,
    breaker: Breaker,
    metrics: DeliveryMetrics,
    halt: CancellationToken,
) -> Consumer {
    let intake = Arc::new(Intake::new(
        settings.delivery.jobs_at_once(),
        settings.delivery.bytes_at_once(),
        metrics.in_flight_bytes.clone(),
    ));
    let failures = Arc::new(Failures::new(settings.queue.clone()));
    let processor = Processor {
        engine: engine.clone(),
        mode: settings.delivery.mode,
        queue: format!("{}:{}", settings.prefix, settings.queue),
        intake: Arc::clone(&intake),
        failures: Arc::clone(&failures),
        metrics,
        clock: Clock::system(),
        origin: origin(settings),
    };
    Consumer {
        settings: settings.clone(),
        processor: Arc::new(processor),
        engine,
        breaker,
        intake,
        failures,
        halt,
    }
}

/// Over a connection of its own: nothing else waits behind what is only for traces.
fn origin(settings: &WorkerSettings) -> Option<Origin> {
    settings.traces.as_ref()?;
    let keys = QueueKeys::new(&settings.prefix, &settings.queue);
    Some(Origin::new(Redis::new(settings.redis.clone()), keys))
}
