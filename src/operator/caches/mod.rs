//! What the API server told of the objects that are ours: a reconcile reads them here and asks
//! nobody. Each watch has a label selector, so that nobody else's objects are in memory.
//!
//! `kept` holds objects whole, less what nobody reads; [`pods`] holds of each pod only what a
//! reconcile needs. What has another label, or none, is not in here: that there is no object of
//! some name is for the API server to say.

pub(super) mod kept;
pub(super) mod pods;
#[cfg(test)]
pub(super) mod test_support;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use kept::{Kept, Triggers, keep};
use pods::PodIndex;

use super::metrics::Metrics;
use super::scope::Scope;

/// The objects of all pipelines, cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Caches {
    pub(super) accounts: Arc<Kept<ServiceAccount>>,
    pub(super) budgets: Arc<Kept<PodDisruptionBudget>>,
    pub(super) deployments: Arc<Kept<Deployment>>,
    pub(super) hpas: Arc<Kept<HorizontalPodAutoscaler>>,
    pub(super) pods: Arc<PodIndex>,
}

/// The Deployments of all scopes, cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Everywhere(Arc<[Arc<Kept<Deployment>>]>);

impl Everywhere {
    pub(super) fn of<'a>(scopes: impl IntoIterator<Item = &'a Caches>) -> Self {
        let deployments = scopes
            .into_iter()
            .map(|caches| Arc::clone(&caches.deployments));
        Self(deployments.collect())
    }

    /// How many pipelines there are: each has one Deployment.
    pub(super) fn pipelines(&self) -> usize {
        self.0.iter().map(|deployments| deployments.len()).sum()
    }
}

/// The objects that changed so that their pipeline has to be looked at; what drives the caches.
pub(super) struct Changes {
    pub(super) accounts: Triggers<ServiceAccount>,
    pub(super) budgets: Triggers<PodDisruptionBudget>,
    pub(super) deployments: Triggers<Deployment>,
    pub(super) hpas: Triggers<HorizontalPodAutoscaler>,
}

/// Caches that fill while the changes are taken; the pods' are followed by [`pods::follow`].
pub(super) fn open(scope: &Scope, metrics: &Metrics) -> (Caches, Changes) {
    let watch = |plural| metrics.watch(plural);
    let (accounts, account_changes) = keep(scope, watch("serviceaccounts"), kept::trim_account);
    let (budgets, budget_changes) = keep(scope, watch("poddisruptionbudgets"), kept::trim_budget);
    let (deployments, deployment_changes) =
        keep(scope, watch("deployments"), kept::trim_deployment);
    let (hpas, hpa_changes) = keep(scope, watch("horizontalpodautoscalers"), kept::trim_hpa);
    let caches = Caches {
        accounts,
        budgets,
        deployments,
        hpas,
        pods: Arc::default(),
    };
    let changes = Changes {
        accounts: account_changes,
        budgets: budget_changes,
        deployments: deployment_changes,
        hpas: hpa_changes,
    };
    (caches, changes)
}

impl Caches {
    /// Waits until every cache has had a complete list.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub(super) async fn filled(&self, limit: Duration) -> Result<(), Duration> {
        let filled = async {
            self.accounts.listed().await;
            self.budgets.listed().await;
            self.deployments.listed().await;
            self.hpas.listed().await;
            self.pods.listed().await;
        };
        tokio::time::timeout(limit, filled).await.map_err(|_| limit)
    }
}
