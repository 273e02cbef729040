//! Step 3, pure: a validated pipeline → the objects it should consist of, one file a kind.
//!
//! It cannot fail: what could has been refused in validation. The same input gives the same bytes.
//! `spec.replicas` is in no object, ever: it is the HPA's.

mod container;
mod deployment;
mod disruption_budget;
mod env;
mod hpa;
mod meta;
mod pod_monitor;
mod service_account;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DynamicObject;

use super::validate::Validated;

pub use meta::{MANAGED_BY_SELECTOR, pipeline_selector};
pub use pod_monitor::pod_monitor_resource;

/// The port of the worker container's own metrics; the sidecar's is the user's to choose.
pub const WORKER_METRICS_PORT: i32 = 9101;
/// The name of the sidecar container and of its port.
pub const SIDECAR: &str = "metrics";
/// The name of the worker container.
pub const WORKER: &str = "worker";
/// The metric that the HPA asks for.
pub const QUEUE_DEPTH_METRIC: &str = "cio_queue_depth";

/// Everything a pipeline consists of, in the order of applying.
#[derive(Debug, Clone)]
pub struct Objects {
    /// The pods' identity, which may do nothing.
    pub service_account: ServiceAccount,
    /// Keeps evictions from taking more than one pod at a time.
    pub disruption_budget: PodDisruptionBudget,
    /// The workers.
    pub deployment: Deployment,
    /// What scales them; none while suspended.
    pub hpa: Option<HorizontalPodAutoscaler>,
    /// What makes Prometheus scrape them, where asked for.
    pub pod_monitor: Option<DynamicObject>,
}

impl Objects {
    /// Every object as JSON, with `apiVersion` and `kind`, in the order of applying.
    pub fn to_json(&self) -> Result<Vec<serde_json::Value>, serde_json::Error> {
        let mut documents = vec![
            serde_json::to_value(&self.service_account)?,
            serde_json::to_value(&self.disruption_budget)?,
            serde_json::to_value(&self.deployment)?,
        ];
        if let Some(hpa) = &self.hpa {
            documents.push(serde_json::to_value(hpa)?);
        }
        if let Some(pod_monitor) = &self.pod_monitor {
            documents.push(serde_json::to_value(pod_monitor)?);
        }
        Ok(documents)
    }
}

/// Builds everything.
pub fn build(pipeline: &Validated) -> Objects {
    Objects {
        service_account: service_account::service_account(pipeline),
        disruption_budget: disruption_budget::disruption_budget(pipeline),
        deployment: deployment::deployment(pipeline),
        hpa: (!pipeline.spec.suspend).then(|| hpa::hpa(pipeline)),
        pod_monitor: pipeline
            .spec
            .monitoring
            .pod_monitor
            .then(|| pod_monitor::pod_monitor(pipeline)),
    }
}
