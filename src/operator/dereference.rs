//! Step 1, IO, read only: what there is now.

use std::fmt::Debug;

use futures::try_join;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;

use super::build::{pipeline_selector, pod_monitor_resource};
use super::error::Error;
use crate::adapter::{pods, reading};
use crate::api::CioPipeline;
use crate::runtime::clock::Clock;
use crate::runtime::http_client::HttpClient;

/// What was found.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) service_account: Option<ServiceAccount>,
    pub(super) disruption_budget: Option<PodDisruptionBudget>,
    pub(super) deployment: Option<Deployment>,
    pub(super) hpa: Option<HorizontalPodAutoscaler>,
    /// `None` where it does not exist, or where the cluster has no such resource.
    pub(super) pod_monitor: Option<DynamicObject>,
    /// Whether the cluster knows `PodMonitor`s.
    pub(super) pod_monitors_exist: bool,
    pub(super) pods: Vec<Pod>,
    /// The queue's depth, as a sidecar tells it.
    pub(super) depth: Result<reading::Reading, reading::Unknown>,
}

/// Reads everything that belongs to `pipeline`, and asks a sidecar for the depth.
pub(super) async fn dereference(
    client: &Client,
    http: &HttpClient,
    clock: &Clock,
    pipeline: &CioPipeline,
) -> Result<Observed, Error> {
    let namespace = pipeline.namespace().unwrap_or_default();
    let pipeline_name = pipeline.name_any();
    let name = format!("{pipeline_name}-worker");
    let (service_account, disruption_budget, deployment, hpa, pod_monitor, pods) = try_join!(
        find(
            Api::<ServiceAccount>::namespaced(client.clone(), &namespace),
            &name,
            "ServiceAccount"
        ),
        find(
            Api::<PodDisruptionBudget>::namespaced(client.clone(), &namespace),
            &name,
            "PodDisruptionBudget"
        ),
        find(
            Api::<Deployment>::namespaced(client.clone(), &namespace),
            &name,
            "Deployment"
        ),
        find(
            Api::<HorizontalPodAutoscaler>::namespaced(client.clone(), &namespace),
            &name,
            "HorizontalPodAutoscaler"
        ),
        pod_monitor(client, pipeline, &namespace, &name),
        list_pods(client, &namespace, &pipeline_name),
    )?;
    let sidecars: Vec<_> = pods.iter().filter_map(pods::sidecar).collect();
    let depth = reading::read_depth(http, &sidecars, clock.now()).await;
    let (pod_monitor, pod_monitors_exist) = pod_monitor;
    Ok(Observed {
        service_account,
        disruption_budget,
        deployment,
        hpa,
        pod_monitor,
        pod_monitors_exist,
        pods,
        depth,
    })
}

async fn find<K>(api: Api<K>, name: &str, what: &'static str) -> Result<Option<K>, Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    api.get_opt(name)
        .await
        .map_err(|source| Error::Read { what, source })
}

async fn list_pods(client: &Client, namespace: &str, name: &str) -> Result<Vec<Pod>, Error> {
    let selected = ListParams::default().labels(&pipeline_selector(name));
    let pods = Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&selected)
        .await;
    Ok(pods
        .map_err(|source| Error::Read {
            what: "Pods",
            source,
        })?
        .items)
}

/// The `PodMonitor`, and whether there can be one. Not asked for by anybody: not looked for.
async fn pod_monitor(
    client: &Client,
    pipeline: &CioPipeline,
    namespace: &str,
    name: &str,
) -> Result<(Option<DynamicObject>, bool), Error> {
    let served = client
        .list_api_group_resources("monitoring.coreos.com/v1")
        .await;
    let exists = match served {
        Ok(resources) => resources
            .resources
            .iter()
            .any(|resource| resource.kind == "PodMonitor"),
        Err(kube::Error::Api(status)) if status.code == 404 => false,
        Err(source) => {
            return Err(Error::Read {
                what: "the API groups",
                source,
            });
        }
    };
    if !exists {
        if pipeline.spec.monitoring.pod_monitor {
            tracing::debug!(
                k8s.name = pipeline.name_any(),
                "the cluster has no PodMonitor resource; spec.monitoring.podMonitor has no effect"
            );
        }
        return Ok((None, false));
    }
    let resource = pod_monitor_resource();
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    Ok((find(api, name, "PodMonitor").await?, true))
}
