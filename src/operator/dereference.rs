//! Step 1, IO, read only: what there is now.
//!
//! What is ours is in the caches. Only where they have nothing the API server is asked: something
//! of that name may be somebody else's, and must not be taken over. Where nothing is wanted it is
//! asked once.

use std::fmt::Debug;
use std::time::Duration;

use futures::{join, try_join};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::DynamicObject;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::build::pod_monitor_resource;
use super::caches::Caches;
use super::caches::kept::Kept;
use super::caches::pods::Reachable;
use super::conditions::Obstacle;
use super::delivery::{self, Delivery};
use super::error::Error;
use super::settled::Settled;
use crate::adapter::pod_client::PodClient;
use crate::adapter::reading;
use crate::api::CioPipeline;
use crate::runtime::clock::Clock;

/// How long the first reconciles wait for the caches.
const FILLING: Duration = Duration::from_secs(50);

/// Where it is looked.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) client: &'a Client,
    pub(super) caches: &'a Caches,
    pub(super) settled: &'a Settled,
    pub(super) pods: &'a PodClient,
    pub(super) clock: &'a Clock,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) service_account: Option<ServiceAccount>,
    pub(super) disruption_budget: Option<PodDisruptionBudget>,
    pub(super) deployment: Option<Deployment>,
    pub(super) hpa: Option<HorizontalPodAutoscaler>,
    pub(super) pod_monitor: PodMonitor,
    /// What keeps a pod from starting.
    pub(super) obstacle: Option<Obstacle>,
    /// The queue's depth, as a sidecar tells it.
    pub(super) depth: Result<reading::Reading, reading::Unknown>,
    /// What the workers say of Customer.io.
    pub(super) delivery: Delivery,
}

/// The `PodMonitor`. It is not in the caches: most clusters have no such resource to watch.
#[derive(Debug)]
pub(super) enum PodMonitor {
    /// It was as it should be when it was last looked at, and the spec is the same.
    Settled,
    /// What there is.
    Found(Option<Box<DynamicObject>>),
}

impl PodMonitor {
    fn found(&self) -> Option<&DynamicObject> {
        match self {
            Self::Settled => None,
            Self::Found(found) => found.as_deref(),
        }
    }
}

impl Observed {
    /// The owners of each object there is. A `PodMonitor` counts only where one is wanted.
    pub(super) fn owners(
        &self,
        with_pod_monitor: bool,
    ) -> [(&'static str, Option<&[OwnerReference]>); 5] {
        let pod_monitor = self.pod_monitor.found().filter(|_| with_pod_monitor);
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

/// Looks up everything that belongs to `pipeline`, and asks a sidecar for the depth and the workers
/// about Customer.io.
pub(super) async fn dereference(
    sources: Sources<'_>,
    pipeline: &CioPipeline,
) -> Result<Observed, Error> {
    let Sources { caches, .. } = sources;
    let filled = caches.filled(FILLING).await;
    filled.map_err(Error::TakeTooLong)?;
    let name = pipeline.name_any();
    let place = Place {
        client: sources.client,
        namespace: pipeline.namespace().unwrap_or_default(),
        name: format!("{name}-worker"),
    };
    let (service_account, disruption_budget, deployment, hpa, pod_monitor) = try_join!(
        place.find(&caches.accounts, "ServiceAccount"),
        place.find(&caches.budgets, "PodDisruptionBudget"),
        place.find(&caches.deployments, "Deployment"),
        place.hpa(&caches.hpas, sources.settled, pipeline),
        place.pod_monitor(sources.settled, pipeline),
    )?;
    let Reachable {
        sidecars,
        workers,
        obstacle,
    } = caches.pods.of(&place.namespace, &name);
    let now = sources.clock.now();
    let (depth, delivery) = join!(
        sources.pods.read_depth(&name, &sidecars, now),
        delivery::read_delivery(sources.pods, &workers),
    );
    Ok(Observed {
        service_account,
        disruption_budget,
        deployment,
        hpa,
        pod_monitor,
        obstacle,
        depth,
        delivery,
    })
}

/// Where the objects of a pipeline are, and what they are called.
struct Place<'a> {
    client: &'a Client,
    namespace: String,
    name: String,
}

impl Place<'_> {
    async fn find<K>(&self, cache: &Kept<K>, what: &'static str) -> Result<Option<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        match cache.get(&self.namespace, &self.name) {
            Some(object) => Ok(Some(object)),
            None => {
                get(
                    Api::namespaced(self.client.clone(), &self.namespace),
                    &self.name,
                    what,
                )
                .await
            }
        }
    }

    /// The HPA. Of a suspended pipeline there is none, and whether somebody else has one of that name
    /// is asked once: what it becomes when it goes on is another generation.
    async fn hpa(
        &self,
        cache: &Kept<HorizontalPodAutoscaler>,
        settled: &Settled,
        pipeline: &CioPipeline,
    ) -> Result<Option<HorizontalPodAutoscaler>, Error> {
        if pipeline.spec.suspend && settled.holds(pipeline) {
            return Ok(cache.get(&self.namespace, &self.name));
        }
        self.find(cache, "HorizontalPodAutoscaler").await
    }

    /// The `PodMonitor`. In a cluster without that resource there is none either, and one answer
    /// speaks for all pipelines.
    async fn pod_monitor(
        &self,
        settled: &Settled,
        pipeline: &CioPipeline,
    ) -> Result<PodMonitor, Error> {
        if settled.holds(pipeline) {
            return Ok(PodMonitor::Settled);
        }
        if settled.is_absent() {
            return Ok(PodMonitor::Found(None));
        }
        let resource = pod_monitor_resource();
        let client = self.client.clone();
        let api = Api::<DynamicObject>::namespaced_with(client, &self.namespace, &resource);
        match api.get(&self.name).await {
            Ok(found) => Ok(PodMonitor::Found(Some(Box::new(found)))),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                // Where there is the resource but not the object, the answer says so.
                if status.reason != "NotFound" {
                    settled.absent();
                }
                Ok(PodMonitor::Found(None))
            }
            Err(source) => Err(Error::Read {
                what: "PodMonitor",
                source,
            }),
        }
    }
}

/// An object as the API server has it.
pub(super) async fn get<K>(api: Api<K>, name: &str, what: &'static str) -> Result<Option<K>, Error>
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
