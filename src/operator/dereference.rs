//! Step 1, IO, read only: what there is now.

use std::fmt::Debug;

use futures::{join, try_join};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;

use super::build::{pipeline_selector, pod_monitor_resource};
use super::conditions::missing_secret;
use super::error::Error;
use crate::adapter::circuit::{self, Delivery};
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
    pub(super) pod_monitor: Option<DynamicObject>,
    /// What a container that cannot start waits for.
    pub(super) missing_secret: Option<String>,
    /// The queue's depth, as a sidecar tells it.
    pub(super) depth: Result<reading::Reading, reading::Unknown>,
    /// What the workers say of Customer.io.
    pub(super) delivery: Delivery,
}

impl Observed {
    /// The owners of each object there is. A `PodMonitor` counts only where one is wanted.
    pub(super) fn owners(
        &self,
        with_pod_monitor: bool,
    ) -> [(&'static str, Option<&[OwnerReference]>); 5] {
        let pod_monitor = self.pod_monitor.as_ref().filter(|_| with_pod_monitor);
        [
            (
                "ServiceAccount",
                self.service_account
                    .as_ref()
                    .map(ResourceExt::owner_references),
            ),
            (
                "PodDisruptionBudget",
                self.disruption_budget
                    .as_ref()
                    .map(ResourceExt::owner_references),
            ),
            (
                "Deployment",
                self.deployment.as_ref().map(ResourceExt::owner_references),
            ),
            (
                "HorizontalPodAutoscaler",
                self.hpa.as_ref().map(ResourceExt::owner_references),
            ),
            ("PodMonitor", pod_monitor.map(ResourceExt::owner_references)),
        ]
    }
}

/// Reads everything that belongs to `pipeline`, and asks a sidecar for the depth and the workers
/// about Customer.io.
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
        pod_monitor(client, &namespace, &name),
        list_pods(client, &namespace, &pipeline_name),
    )?;
    let sidecars: Vec<_> = pods.iter().filter_map(pods::sidecar).collect();
    let workers: Vec<_> = pods.iter().filter_map(pods::worker).collect();
    let (depth, delivery) = join!(
        reading::read_depth(http, &sidecars, clock.now()),
        circuit::read_delivery(http, &workers),
    );
    Ok(Observed {
        service_account,
        disruption_budget,
        deployment,
        hpa,
        pod_monitor,
        missing_secret: pods.iter().find_map(missing_secret),
        depth,
        delivery,
    })
}

async fn find<K>(api: Api<K>, name: &str, what: &'static str) -> Result<Option<K>, Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    match api.get(name).await {
        Ok(object) => Ok(Some(object)),
        // Not `get_opt`: where the resource itself is not there, the answer has no reason in it.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(source) => Err(Error::Read { what, source }),
    }
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

/// The `PodMonitor`. In a cluster without that resource there is none either.
async fn pod_monitor(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<DynamicObject>, Error> {
    let resource = pod_monitor_resource();
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
    find(api, name, "PodMonitor").await
}
