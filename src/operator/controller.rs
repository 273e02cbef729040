//! Wiring: watches, concurrency, shutdown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::reflector::store::Writer;
use kube::runtime::{PredicateConfig, WatchStreamExt, predicates, reflector, watcher};
use kube::{Api, Client, Resource};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, Rate};
use super::caches::pods::follow;
use super::caches::{self, Caches, Changes, Everywhere};
use super::events::Events;
use super::lease::Leadership;
use super::limits::Limits;
use super::metrics::{Metrics, Watched};
use super::reconcile::{Context, on_error, reconcile};
use super::run::{OperatorError, Options};
use super::scope::{Scope, scopes};
use super::settled::Settled;
use super::standing;
use super::told::Told;
use super::turns::Turns;
use super::validate::Settings;
use crate::adapter::pod_client::PodClient;
use crate::api::CioPipeline;
use crate::runtime::clock::Clock;
use crate::runtime::cluster;

/// Reconciles at once: so many that pipelines whose sidecars hang, at 2 s each, do not keep the
/// others waiting.
pub(super) const CONCURRENCY: u16 = 32;
/// Events that come within this span lead to one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Status writes a second for nothing but numbers, over all pipelines, and as many again at once:
/// what a thousand queues in motion may cost the API server.
const NUMBER_WRITES: Rate = Rate {
    per_second: 4.0,
    at_once: 20.0,
};

/// Runs the controller until `stop`; `on_started` is called once the API server answered. While
/// `leadership` is another process', it only watches. `client` tries each request once.
///
/// # Errors
/// When the API server cannot be asked for pipelines: the CRD is missing, or the rights are.
pub(super) async fn run(
    client: Client,
    options: Options,
    leadership: Leadership,
    stop: CancellationToken,
    on_started: impl FnOnce(),
) -> Result<(), OperatorError> {
    let scopes = scopes(&cluster::persistent(&client), &options.namespaces);
    let metrics = Metrics::new(&options.registry)?;
    may_list(&scopes, &metrics.watch("ciopipelines")).await?;
    let opened: Vec<_> = scopes
        .iter()
        .map(|scope| caches::open(scope, &metrics))
        .collect();
    let stores: Stores = scopes.iter().map(|_| reflector::store().1).collect();
    let told = stores.iter().map(Writer::as_reader).collect();
    standing::register(&options.registry, told, leadership.clone())?;
    let client = leadership.fence(&client);
    let shared = Shared {
        events: Arc::new(Events::new(client.clone())),
        client,
        settings: options.settings,
        metrics,
        number_writes: Arc::new(Budget::new(NUMBER_WRITES, Instant::now())),
        everywhere: Everywhere::of(opened.iter().map(|(caches, _)| caches)),
        leadership,
    };
    let mut controllers = Vec::new();
    for ((scope, opened), writer) in scopes.iter().zip(opened).zip(stores) {
        controllers.push(control(scope, &shared, opened, writer, stop.clone())?);
    }
    on_started();
    futures::future::join_all(controllers).await;
    Ok(())
}

/// Whether pipelines can be listed somewhere: of several namespaces one may have been deleted, and must
/// not keep the others waiting. Its watch is tried on.
async fn may_list(scopes: &[Scope], watched: &Watched) -> Result<(), OperatorError> {
    let mut refused = Vec::new();
    for scope in scopes {
        let pipelines: Api<DeserializeGuard<CioPipeline>> = scope.api();
        match pipelines.list(&ListParams::default().limit(1)).await {
            Ok(_) => {}
            Err(error) if cluster::is_refused(&error) => refused.push((scope, error)),
            Err(error) => return Err(OperatorError::ListPipelines(error)),
        }
    }
    if refused.len() == scopes.len()
        && let Some((_, error)) = refused.pop()
    {
        return Err(OperatorError::ListPipelines(error));
    }
    for (scope, error) in refused {
        watched.refused(scope.namespace(), &error);
    }
    Ok(())
}

/// Where each scope's pipelines are kept.
type Stores = Vec<Writer<DeserializeGuard<CioPipeline>>>;

/// What the controllers of all scopes have in common.
struct Shared {
    client: Client,
    settings: Settings,
    metrics: Metrics,
    number_writes: Arc<Budget>,
    events: Arc<Events>,
    everywhere: Everywhere,
    leadership: Leadership,
}

/// The controller of one scope, until `stop`.
fn control<'a>(
    scope: &'a Scope,
    shared: &Shared,
    (caches, changes): (Caches, Changes),
    pipelines: Writer<DeserializeGuard<CioPipeline>>,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + 'a, OperatorError> {
    let pods = Arc::clone(&caches.pods);
    let interrupted = shared.metrics.watch("pods");
    let context = Arc::new(context(shared, caches)?);
    let reader = pipelines.as_reader();
    let lost = shared.metrics.watch("ciopipelines");
    // A status that we wrote ourselves is no reason to look again.
    let specs = watcher(
        scope.api::<DeserializeGuard<CioPipeline>>(),
        watcher::Config::default().page_size(cluster::PAGE),
    )
    .default_backoff()
    .inspect_err(move |error| lost.interrupted(error))
    .modify(|pipeline| pipeline.meta_mut().managed_fields = None)
    .reflect(pipelines)
    .applied_objects()
    .predicate_filter(predicates::generation, PredicateConfig::default());
    let controller = Controller::for_stream(specs, reader)
        .owns_stream(changes.accounts)
        .owns_stream(changes.budgets)
        .owns_stream(changes.deployments)
        .owns_stream(changes.hpas)
        .with_config(
            Config::default()
                .concurrency(CONCURRENCY)
                .debounce(DEBOUNCE),
        )
        // What was watched while standing by is reconciled once there is the right to.
        .reconcile_all_on(context.leadership.began())
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, on_error, context)
        // Each error was told where it arose: of a watch, of a reconcile.
        .for_each(|_| std::future::ready(()));
    Ok(async move {
        tokio::select! {
            () = controller => {}
            () = follow(scope, &pods, &interrupted) => {}
        }
    })
}

fn context(shared: &Shared, caches: Caches) -> Result<Context, OperatorError> {
    Ok(Context {
        events: Arc::clone(&shared.events),
        client: shared.client.clone(),
        caches,
        everywhere: shared.everywhere.clone(),
        settled: Settled::default(),
        told: Told::default(),
        limits: Limits::default(),
        turns: Turns::default(),
        pods: PodClient::new().map_err(OperatorError::MakeClient)?,
        clock: Clock::system(),
        settings: shared.settings.clone(),
        metrics: shared.metrics.clone(),
        number_writes: Arc::clone(&shared.number_writes),
        failures: Mutex::new(HashMap::new()),
        leadership: shared.leadership.clone(),
    })
}
