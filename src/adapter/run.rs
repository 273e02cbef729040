//! Everything the adapter consists of, put together and kept running.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::auth::review::ClusterReviewer;
use super::auth::trust::Trust;
use super::follow::{self, Follower, Progress};
use super::gate::{Gate, GateKeeper};
use super::groups::Served;
use super::handshake::{self, HandshakeError};
use super::hold::Holds;
use super::hold::watch::HoldWatch;
use super::metrics::AdapterMetrics;
use super::ownership::ServiceName;
use super::pod_client::PodClient;
use super::pods::PodStore;
use super::pods::watch::PodWatch;
use super::server::{self, Sources};
use super::{auth, expiry};
use crate::runtime::admin::{self, Readiness};
use crate::runtime::clock::Clock;
use crate::runtime::tls::files::{CertificateError, CertificateFiles};
use crate::runtime::{http_server, tls};

/// After the stop, for as long requests are still taken: the API server needs a moment to learn
/// that this endpoint is going.
const FAREWELL: Duration = Duration::from_secs(3);

/// So long is waited for the pipelines at the start. Their list only holds pods back: without it
/// the metric is served all the same.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the adapter is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// What to answer for.
    pub served: Served,
    /// The serving certificate.
    pub certificate: CertificateFiles,
    /// The namespaces to serve; empty for all.
    pub namespaces: Vec<String>,
    /// Our own Service, which our `APIService` objects must point at.
    pub service: ServiceName,
    /// Where metrics go; those of the client are there already.
    pub registry: Registry,
}

/// Where the adapter listens; the caller binds.
#[derive(Debug)]
pub struct Listeners {
    /// For the API, over TLS.
    pub api: TcpListener,
    /// For metrics and health, in plain HTTP.
    pub admin: TcpListener,
}

/// Why the adapter could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// There is no certificate to serve with.
    #[error(transparent)]
    ReadCertificate(#[from] CertificateError),
    /// The certificate cannot be served with.
    #[error(transparent)]
    ConfigureTls(#[from] HandshakeError),
    /// The machine has no readable certificate store.
    #[error("cannot make an HTTP client: {0}")]
    MakeClient(std::io::Error),
    /// A metric's name is taken.
    #[error("cannot register metrics: {0}")]
    RegisterMetrics(#[from] prometheus::Error),
    /// The metrics and health port cannot be served.
    #[error("cannot serve metrics: {0}")]
    ServeAdmin(std::io::Error),
}

/// Runs the adapter until `stop`.
///
/// # Errors
/// When it cannot start; whatever happens later is survived and logged.
pub async fn run(
    options: Options,
    client: Client,
    listeners: Listeners,
    stop: CancellationToken,
) -> Result<(), AdapterError> {
    let readiness = Readiness::default();
    let metrics = AdapterMetrics::new(&options.registry)?;
    let (follower, certificate) = options.certificate.open().await?;
    let sidecars = PodClient::new().map_err(AdapterError::MakeClient)?;

    // Every task ends when this is dropped, at the end of this function.
    let mut tasks = JoinSet::new();
    tasks.spawn(follower.run(stop.clone()));
    tasks.spawn(expiry::run(certificate.clone(), metrics.clone()));
    let watches = Watches {
        client: &client,
        metrics: &metrics,
    };
    let trust = watches.trust(&mut tasks);
    let (holds, holds_known) = watches.holds(&mut tasks, options.namespaces.clone());
    let (pods, pods_known) = watches.pods(&mut tasks, options.namespaces);
    let (gate_sender, gate) = watch::channel(Gate::Starting);
    let keeper = GateKeeper {
        client: client.clone(),
        us: options.service,
        served: options.served.clone(),
        gate: gate_sender,
        readiness: readiness.clone(),
        metrics: metrics.clone(),
    };
    tasks.spawn(keeper.run(started(trust.clone(), pods_known, holds_known)));
    let (config, follow_config) = handshake::configs(certificate, trust.clone())?;
    tasks.spawn(follow_config);

    let connections = metrics.connections();
    let api = server::router(Sources {
        served: options.served,
        gate,
        trust,
        reviewer: Arc::new(ClusterReviewer::new(client)),
        pods,
        holds,
        client: sidecars,
        clock: Clock::system(),
        metrics,
    });
    let admin = admin::router(options.registry, readiness.clone());
    let last = farewell(&mut tasks, readiness, stop);
    let api = tls::server::serve(listeners.api, config, api, connections, last.clone());
    let admin = http_server::serve(listeners.admin, admin, last);
    let ((), served) = tokio::join!(api, admin);
    served.map_err(AdapterError::ServeAdmin)
}

/// What is followed in the cluster.
struct Watches<'a> {
    client: &'a Client,
    metrics: &'a AdapterMetrics,
}

impl Watches<'_> {
    fn trust(&self, tasks: &mut JoinSet<()>) -> watch::Receiver<Arc<Trust>> {
        let (sender, trust) = watch::channel(Arc::new(Trust::default()));
        let errors = self.metrics.watch_errors("authentication");
        tasks.spawn(auth::watch::run(self.client.clone(), sender, errors));
        trust
    }

    fn follower(
        &self,
        what: &'static str,
        namespace: Option<String>,
        seconds: RangeInclusive<u32>,
        progress: &watch::Sender<Progress>,
    ) -> Follower {
        Follower {
            what,
            namespace,
            seconds,
            progress: progress.clone(),
            errors: self.metrics.watch_errors(what),
        }
    }

    /// The pipelines that hold, and how far their watches are.
    fn holds(
        &self,
        tasks: &mut JoinSet<()>,
        namespaces: Vec<String>,
    ) -> (Arc<Holds>, watch::Receiver<Progress>) {
        let scopes = scopes(namespaces);
        let holds = Arc::new(Holds::default());
        let (sender, progress) = watch::channel(Progress::of(scopes.len()));
        for namespace in scopes {
            let watch = HoldWatch {
                follower: self.follower("pipelines", namespace, follow::PIPELINES, &sender),
                holds: Arc::clone(&holds),
            };
            tasks.spawn(watch.run(self.client.clone()));
        }
        (holds, progress)
    }

    /// The pods, and how far their watches are.
    fn pods(
        &self,
        tasks: &mut JoinSet<()>,
        namespaces: Vec<String>,
    ) -> (Arc<PodStore>, watch::Receiver<Progress>) {
        let scopes = scopes(namespaces);
        let store = Arc::new(PodStore::default());
        let (sender, progress) = watch::channel(Progress::of(scopes.len()));
        for namespace in scopes {
            let watch = PodWatch {
                follower: self.follower("pods", namespace, follow::PODS, &sender),
                store: Arc::clone(&store),
            };
            tasks.spawn(watch.run(self.client.clone()));
        }
        (store, progress)
    }
}

/// What is watched one by one: the namespaces, or all at once.
fn scopes(namespaces: Vec<String>) -> Vec<Option<String>> {
    if namespaces.is_empty() {
        return vec![None];
    }
    namespaces.into_iter().map(Some).collect()
}

/// Waits until the cluster's authorities and every worker pod are known.
async fn started(
    mut trust: watch::Receiver<Arc<Trust>>,
    mut pods: watch::Receiver<Progress>,
    mut holds: watch::Receiver<Progress>,
) {
    let trusted = trust
        .wait_for(|trust| trust.knows_front_proxy())
        .await
        .is_ok();
    let listed = pods.wait_for(Progress::is_enough).await.is_ok();
    let holds = holds.wait_for(Progress::is_enough);
    if tokio::time::timeout(PATIENCE, holds).await.is_err() {
        tracing::warn!(
            "the CioPipelines could not be listed yet: until they are, whenSaturated: Hold has no \
             effect"
        );
    }
    if !(trusted && listed) {
        // The program is ending: what would have been waited for comes no more.
        std::future::pending::<()>().await;
    }
}

/// Cancelled a moment after `stop`: until then no new request is sent here any more.
fn farewell(
    tasks: &mut JoinSet<()>,
    readiness: Readiness,
    stop: CancellationToken,
) -> CancellationToken {
    let last = CancellationToken::new();
    let cancel = last.clone();
    tasks.spawn(async move {
        stop.cancelled().await;
        readiness.not_ready();
        tokio::time::sleep(FAREWELL).await;
        cancel.cancel();
    });
    last
}
