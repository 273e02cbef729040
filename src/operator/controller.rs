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
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::watcher;
use kube::{Api, Client};
use prometheus::Registry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::budget::{Budget, Rate};
use super::build::MANAGED_BY_SELECTOR;
use super::metrics::Metrics;
use super::reconcile::{Context, on_error, reconcile};
use super::validate::Settings;
use crate::adapter::reading;
use crate::api::CioPipeline;
use crate::runtime::clock::Clock;
use crate::runtime::http_client::HttpClient;

/// Reconciles at once.
const CONCURRENCY: u16 = 8;
/// Events that come within this span lead to one reconcile.
const DEBOUNCE: Duration = Duration::from_millis(500);

/// Status writes a second for nothing but a depth, over all pipelines, and as many again at once:
/// what a thousand queues in motion may cost the API server.
const DEPTH_WRITES: Rate = Rate {
    per_second: 4.0,
    at_once: 20.0,
};

/// What `run` needs.
#[derive(Debug)]
pub struct Options {
    /// What the operator brings to every pipeline.
    pub settings: Settings,
    /// Where its metrics go.
    pub registry: Registry,
}

/// Runs the controller until `stop`; `on_started` is called once the API server answered.
///
/// # Errors
/// When the API server cannot be asked for pipelines: the CRD is missing, or the rights are.
pub async fn run(
    client: Client,
    options: Options,
    stop: CancellationToken,
    on_started: impl FnOnce(),
) -> anyhow::Result<()> {
    let pipelines = Api::<DeserializeGuard<CioPipeline>>::all(client.clone());
    pipelines
        .list(&ListParams::default().limit(1))
        .await
        .context(
            "cannot list CioPipelines: is the CRD installed (kubectl apply -f crds/) and may this \
         service account list them?",
        )?;
    let context = Arc::new(context(client.clone(), options)?);
    on_started();
    let owned = || watcher::Config::default().labels(MANAGED_BY_SELECTOR);
    Controller::new(pipelines, watcher::Config::default())
        .owns(Api::<Deployment>::all(client.clone()), owned())
        .owns(Api::<HorizontalPodAutoscaler>::all(client.clone()), owned())
        .owns(Api::<PodDisruptionBudget>::all(client.clone()), owned())
        .owns(Api::<ServiceAccount>::all(client), owned())
        .with_config(
            Config::default()
                .concurrency(CONCURRENCY)
                .debounce(DEBOUNCE),
        )
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
    Ok(())
}

fn context(client: Client, options: Options) -> anyhow::Result<Context> {
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
        depth_writes: Budget::new(DEPTH_WRITES, Instant::now()),
        failures: Mutex::new(HashMap::new()),
    })
}
