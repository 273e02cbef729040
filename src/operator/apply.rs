//! Step 4, IO: what there is → what there should be, by server-side apply.
//!
//! Nothing is written where the object already is as it should be. The order matters: the pods'
//! identity before the pods, the pods before what scales them.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::FIELD_MANAGER;
use super::build::{Objects, pod_monitor_resource};
use super::conditions::wanted_pods;
use super::dereference::{Observed, PodMonitor, get};
use super::error::Error;
use super::unchanged::{mark, unchanged};
use super::validate::Validated;

/// What the API server holds after applying.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) deployment: Deployment,
    pub(super) hpa: Option<HorizontalPodAutoscaler>,
}

/// Writes what differs.
pub(super) async fn apply(
    client: &Client,
    pipeline: &Validated,
    observed: &Observed,
    objects: Objects,
) -> Result<Applied, Error> {
    let Objects {
        service_account,
        disruption_budget,
        deployment,
        hpa,
        pod_monitor,
    } = objects;
    let cluster = Cluster {
        client,
        namespace: &pipeline.namespace,
    };
    cluster
        .put(
            "ServiceAccount",
            observed.service_account.as_ref(),
            service_account,
        )
        .await?;
    cluster
        .put(
            "PodDisruptionBudget",
            observed.disruption_budget.as_ref(),
            disruption_budget,
        )
        .await?;
    if hpa.is_none() && observed.hpa.is_some() {
        // Before the scale to 0, or the HPA would put it back.
        cluster.remove_hpa(&pipeline.object_name()).await?;
    }
    let deployment = cluster
        .put("Deployment", observed.deployment.as_ref(), deployment)
        .await?;
    let deployment = scale(&cluster, pipeline, observed, deployment).await?;
    let hpa = match hpa {
        Some(hpa) => Some(
            cluster
                .put("HorizontalPodAutoscaler", observed.hpa.as_ref(), hpa)
                .await?,
        ),
        None => None,
    };
    cluster
        .put_pod_monitor(pipeline, &observed.pod_monitor, pod_monitor)
        .await?;
    Ok(Applied { deployment, hpa })
}

/// Hands the number of pods over: 0 while suspended; a number within the bounds before an HPA
/// appears, which does nothing for a Deployment at 0. Otherwise it is the HPA's alone.
async fn scale(
    cluster: &Cluster<'_>,
    pipeline: &Validated,
    observed: &Observed,
    deployment: Deployment,
) -> Result<Deployment, Error> {
    let wanted = |deployment: &Deployment| {
        wanted_replicas(pipeline, observed.hpa.is_some(), wanted_pods(deployment))
    };
    if wanted(&deployment).is_none() {
        return Ok(deployment);
    }
    let deployment = if observed.deployment.is_some() {
        // The cache may lag behind an HPA that has just taken over: what counts is how it is now.
        let api = Api::<Deployment>::namespaced(cluster.client.clone(), cluster.namespace);
        let now = get(api, &deployment.name_any(), "Deployment").await?;
        now.unwrap_or(deployment)
    } else {
        deployment
    };
    match wanted(&deployment) {
        Some(replicas) => cluster.scale(deployment, replicas).await,
        None => Ok(deployment),
    }
}

/// Pure: the number to set, if it is ours to set.
fn wanted_replicas(pipeline: &Validated, hpa_exists: bool, current: i32) -> Option<i32> {
    let autoscaling = &pipeline.spec.autoscaling;
    let wanted = match (pipeline.spec.suspend, hpa_exists) {
        (true, _) => 0,
        (false, true) if current > 0 => return None,
        (false, _) => current.clamp(autoscaling.min_replicas, autoscaling.max_replicas),
    };
    (wanted != current).then_some(wanted)
}

/// Thin writing access to one namespace.
struct Cluster<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl Cluster<'_> {
    async fn put<K>(&self, what: &'static str, observed: Option<&K>, desired: K) -> Result<K, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + Debug,
    {
        let serialize = |source| Error::Serialize { what, source };
        let desired = mark(desired).map_err(serialize)?;
        if let Some(observed) = observed
            && unchanged(observed, &desired).map_err(serialize)?
        {
            return Ok(observed.clone());
        }
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        let applied = api
            .patch(&desired.name_any(), &force(), &Patch::Apply(&desired))
            .await;
        applied.map_err(|source| Error::Write { what, source })
    }

    async fn remove_hpa(&self, name: &str) -> Result<(), Error> {
        let api = Api::<HorizontalPodAutoscaler>::namespaced(self.client.clone(), self.namespace);
        gone(
            api.delete(name, &DeleteParams::default()).await.map(drop),
            "HorizontalPodAutoscaler",
        )
    }

    /// Puts the `PodMonitor`, or removes the one that is ours. Where the cluster has no such
    /// resource, the wish has no effect.
    async fn put_pod_monitor(
        &self,
        pipeline: &Validated,
        observed: &PodMonitor,
        desired: Option<DynamicObject>,
    ) -> Result<(), Error> {
        let PodMonitor::Found(observed) = observed else {
            return Ok(());
        };
        let observed = observed.as_deref();
        let what = "PodMonitor";
        let serialize = |source| Error::Serialize { what, source };
        let name = pipeline.object_name();
        let resource = pod_monitor_resource();
        let api =
            Api::<DynamicObject>::namespaced_with(self.client.clone(), self.namespace, &resource);
        let Some(desired) = desired else {
            let ours = observed.is_some_and(|observed| {
                observed
                    .metadata
                    .owner_references
                    .as_deref()
                    .unwrap_or_default()
                    .iter()
                    .any(|owner| {
                        pipeline
                            .owner
                            .as_ref()
                            .is_some_and(|us| us.uid == owner.uid)
                    })
            });
            if ours {
                let deleted = api.delete(&name, &DeleteParams::default()).await;
                return gone(deleted.map(drop), what);
            }
            return Ok(());
        };
        let desired = mark(desired).map_err(serialize)?;
        if let Some(observed) = observed
            && unchanged(observed, &desired).map_err(serialize)?
        {
            return Ok(());
        }
        gone(
            api.patch(&name, &force(), &Patch::Apply(&desired))
                .await
                .map(drop),
            what,
        )
    }

    async fn scale(&self, mut deployment: Deployment, replicas: i32) -> Result<Deployment, Error> {
        let api = Api::<Deployment>::namespaced(self.client.clone(), self.namespace);
        let name = deployment.name_any();
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        api.patch_scale(&name, &params, &patch)
            .await
            .map_err(|source| Error::Write {
                what: "Deployment's scale",
                source,
            })?;
        if let Some(spec) = &mut deployment.spec {
            spec.replicas = Some(replicas);
        }
        Ok(deployment)
    }
}

fn force() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// Not found is fine: whoever removed the object, or never installed the resource.
fn gone(deleted: Result<(), kube::Error>, what: &'static str) -> Result<(), Error> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map_err(|source| Error::Write { what, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::validated;
    use super::*;

    #[test]
    fn the_number_of_pods_is_set_only_where_no_hpa_does_it() {
        // suspended, HPA there, pods now → number to set
        let cases = [
            (false, false, 1, Some(2)),
            (false, false, 0, Some(2)),
            (false, false, 7, None),
            (false, false, 99, Some(20)),
            (false, true, 1, None),
            (false, true, 0, Some(2)),
            (true, true, 5, Some(0)),
            (true, false, 0, None),
        ];
        for (suspend, hpa_exists, current, wanted) in cases {
            let mut pipeline = validated("");
            pipeline.spec.suspend = suspend;
            let found = wanted_replicas(&pipeline, hpa_exists, current);
            assert_eq!(
                found, wanted,
                "suspend {suspend}, HPA {hpa_exists}, {current} pods"
            );
        }
    }
}
