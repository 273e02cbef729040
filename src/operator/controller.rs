//! Wiring: watches, concurrency, shutdown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::controller::{Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio_util::sync::CancellationToken;

use super::build::MANAGED_BY_SELECTOR;
use super::lease::Leadership;
use super::metrics::Metrics;
use super::reconcile::{Context, on_error, reconcile};
use super::run::Options;
use crate::adapter::reading;
use crate::api::CioPipeline;
use crate::runtime::clock::Clock;
use crate::runtime::http_client::HttpClient;

/// Reconciles at once.
const CONCURRENCY: u16 = 8;
/// Events that come within this span lead to one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Runs the controller until `stop`; `on_started` is called once the API server answered. While
/// `leadership` is another process', it only watches.
///
/// # Errors
/// When the API server cannot be asked for pipelines: the CRD is missing, or the rights are.
pub(super) async fn run(
    client: Client,
    options: Options,
    leadership: Leadership,
    stop: CancellationToken,
    on_started: impl FnOnce(),
) -> anyhow::Result<()> {
    let scopes = scopes(&client, &options.namespaces);
    for scope in &scopes {
        let pipelines: Api<DeserializeGuard<CioPipeline>> = scope.api();
        pipelines
            .list(&ListParams::default().limit(1))
            .await
            .context(
                "cannot list CioPipelines: is the CRD installed (kubectl apply -f crds/) and may \
                 this service account list them?",
            )?;
    }
    let context = Arc::new(context(leadership.fence(&client), options, leadership)?);
    on_started();
    let controllers = scopes
        .iter()
        .map(|scope| control(scope, Arc::clone(&context), stop.clone()));
    futures::future::join_all(controllers).await;
    Ok(())
}

/// A namespace, or all of them.
struct Scope {
    client: Client,
    namespace: Option<String>,
}

impl Scope {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType: Default>,
    {
        let client = self.client.clone();
        match &self.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }
}

fn scopes(client: &Client, namespaces: &[String]) -> Vec<Scope> {
    let scope = |namespace| Scope {
        client: client.clone(),
        namespace,
    };
    if namespaces.is_empty() {
        return vec![scope(None)];
    }
    let namespaces = namespaces.iter().cloned().map(Some);
    namespaces.map(scope).collect()
}

/// The controller of one scope, until `stop`.
async fn control(scope: &Scope, context: Arc<Context>, stop: CancellationToken) {
    let owned = || watcher::Config::default().labels(MANAGED_BY_SELECTOR);
    Controller::new(scope.api(), watcher::Config::default())
        .owns(scope.api::<Deployment>(), owned())
        .owns(scope.api::<HorizontalPodAutoscaler>(), owned())
        .owns(scope.api::<PodDisruptionBudget>(), owned())
        .owns(scope.api::<ServiceAccount>(), owned())
        .with_config(
            Config::default()
                .concurrency(CONCURRENCY)
                .debounce(DEBOUNCE),
        )
        // What was watched while standing by is reconciled once there is the right to.
        .reconcile_all_on(context.leadership.began())
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn context(client: Client, options: Options, leadership: Leadership) -> anyhow::Result<Context> {
    let reporter = Reporter {
        controller: "cio-operator".to_owned(),
        instance: None,
    };
    Ok(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        http: HttpClient::new(reading::CLIENT).context("cannot read the system's certificates")?,
        clock: Clock::system(),
        settings: options.settings,
        metrics: Metrics::new(&options.registry)?,
        failures: Mutex::new(HashMap::new()),
        leadership,
    })
}
