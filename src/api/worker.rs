//! The pods of a pipeline: what a user may say about them.

#![expect(
    unreachable_pub,
    reason = "KubeSchema repeats each type inside a function of its own"
)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quantity::quantity_schema;
use super::variables::{TAKEN_MESSAGE, Variable, free_names, variables_schema};

/// The worker container and its pod.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(free_names()).message(TAKEN_MESSAGE).field_path(".template.env")
)]
pub struct Worker {
    /// The image; empty means the operator's own. Any BullMQ worker can stand here: it runs with the
    /// image's own command, and finds the guide's variables in its environment.
    #[schemars(length(max = 500))]
    pub image: String,
    /// Requests in flight in a pod.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: i32,
    /// Requests at once in a process, whatever else allows more.
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent: i32,
    /// What the worker container asks of its node.
    pub resources: Resources,
    /// What else the pods need.
    pub template: PodTemplate,
}

/// The container that reports the queue's depth.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.port != 9101").message("spec.sidecar.port must not be 9101: the worker container serves its own metrics there").field_path(".port")
)]
pub struct Sidecar {
    /// The port of its `/metrics`.
    #[schemars(range(min = 1024, max = 65_535))]
    pub port: i32,
    /// What it asks of its node.
    pub resources: Resources,
}

/// Requests and limits of a container. CPU utilization needs the cpu request of every container,
/// so it always has one. A limit below the request counts as the request.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!has(self.requests.cpu) || quantity(string(self.requests.cpu)).isGreaterThan(quantity('0'))").message("requests.cpu must be above 0: the HPA's CPU utilization is a share of it").field_path(".requests.cpu")
)]
pub struct Resources {
    /// What the scheduler sets aside.
    pub requests: Amounts,
    /// What is never exceeded.
    pub limits: Amounts,
}

/// Amounts of cpu and memory.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Amounts {
    /// CPU, for example `100m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantity_schema")]
    pub cpu: Option<Quantity>,
    /// Memory, for example `64Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quantity_schema")]
    pub memory: Option<Quantity>,
}

/// The part of a pod template that a platform needs to have a say in.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    /// Labels added to the pods; the operator's own stay.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations added to the pods. A change rolls them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Variables added to the worker container's: for example `OTEL_EXPORTER_OTLP_ENDPOINT`, or what a worker
    /// image of your own reads. A change rolls the pods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "variables_schema")]
    pub env: Vec<Variable>,
    /// Labels a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pods tolerate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub tolerations: Vec<Toleration>,
    /// Where pods prefer or refuse to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How pods spread over zones and nodes; empty means evenly over nodes where possible.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// The pods' `PriorityClass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub priority_class_name: Option<String>,
    /// Secrets for a private registry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Seconds a pod has to finish what is in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
}
