//! The controller and, beside it, the election that allows it to write.

use std::time::Duration;

use kube::Client;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use super::certificate::{CertificateMetrics, Keeper, Serving};
use super::controller;
use super::lease::{Candidate, Election, Leadership, LeaseMetrics, Loss};
use super::validate::Settings;
use crate::runtime::clock::Clock;
use crate::runtime::cluster;
use crate::runtime::pulse::Pulse;

/// After the stop, for as long reconciles that have begun may go on; then they are cut off. With
/// the release of the lease it fits into the 30 s that a pod has.
const REST: Duration = Duration::from_secs(20);

/// What `run` needs.
#[derive(Debug)]
pub struct Options {
    /// What the operator brings to every pipeline.
    pub settings: Settings,
    /// Where its metrics go.
    pub registry: Registry,
    /// The namespaces whose pipelines are its own; none means all, by one watch of each kind.
    pub namespaces: Vec<String>,
    /// How one of several is chosen to write; none for one that runs alone.
    pub election: Option<Election>,
    /// The election's sign of life.
    pub pulse: Pulse,
    /// The adapter's certificate, where it is the operator's to keep.
    pub serving: Option<Serving>,
}

/// Why the operator could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The CRD is missing, or the rights are.
    #[error(
        "cannot list CioPipelines: is the CRD installed (kubectl apply -f crds/) and may this \
         service account list them? {0}"
    )]
    ListPipelines(kube::Error),
    /// The machine has no readable certificate store.
    #[error("cannot make an HTTP client: {0}")]
    MakeClient(std::io::Error),
    /// A metric's name is taken.
    #[error("cannot register metrics: {0}")]
    RegisterMetrics(#[from] prometheus::Error),
    /// Another process may be writing.
    #[error(transparent)]
    LoseLease(#[from] Loss),
}

/// Runs the controller until `stop`; `client` tries each request once. `on_started` is called once the API
/// server answered, before the election: one that stands by is ready too.
///
/// After `stop` the reconciles in hand end, then the lease is given back.
///
/// # Errors
/// When the API server cannot be asked for pipelines, or when the lease is lost: then the process
/// has to end.
pub async fn run(
    client: Client,
    options: Options,
    stop: CancellationToken,
    on_started: impl FnOnce(),
) -> Result<(), OperatorError> {
    let metrics = LeaseMetrics::new(&options.registry)?;
    let Some(election) = options.election.clone() else {
        metrics.alone();
        let leadership = Leadership::always();
        return work(client, options, leadership, stop, on_started).await;
    };
    let pulse = options.pulse.clone();
    let (mut candidate, leadership) = Candidate::new(
        cluster::persistent(&client),
        election,
        Clock::system(),
        metrics,
        pulse,
    );
    let rested = rested(stop.clone());
    let outcome = tokio::select! {
        outcome = work(client, options, leadership, stop, on_started) => outcome,
        // Not even the lease is touched any more.
        loss = candidate.run() => return Err(loss.into()),
        () = rested => {
            tracing::warn!("reconciles did not end in time and were cut off");
            Ok(())
        }
    };
    candidate.release().await;
    outcome
}

/// What a leader does: the controller, and the certificate beside it.
async fn work(
    client: Client,
    options: Options,
    leadership: Leadership,
    stop: CancellationToken,
    on_started: impl FnOnce(),
) -> Result<(), OperatorError> {
    let metrics = CertificateMetrics::new(&options.registry)?;
    let keeper = options.serving.clone().map(|serving| Keeper {
        client: leadership.fence(&client),
        serving,
        clock: Clock::system(),
        metrics,
    });
    let kept = async {
        match keeper {
            Some(keeper) => keeper.run(leadership.clone()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = controller::run(client, options, leadership.clone(), stop, on_started) => outcome,
        () = kept => Ok(()),
    }
}

async fn rested(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(REST).await;
}
