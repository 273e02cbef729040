//! `CioPipeline`: what a user writes.

#![expect(
    unreachable_pub,
    reason = "KubeSchema repeats each type inside a function of its own"
)]

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::CioPipelineStatus;
use super::worker::{Sidecar, Worker};

/// A queue of Customer.io operations, delivered by workers that scale with it.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "cio.dev",
    version = "v1alpha1",
    kind = "CioPipeline",
    plural = "ciopipelines",
    shortname = "ciop",
    category = "all",
    namespaced,
    status = "CioPipelineStatus",
    derive = "PartialEq",
    doc = "A queue of Customer.io operations, delivered by workers that scale with it.",
    validation = Rule::new("size(self.metadata.name) <= 50").message("metadata.name must have at most 50 characters: the worker's objects are called <name>-worker"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(name = "Depth", type_ = "integer", json_path = ".status.queueDepth"),
    printcolumn(name = "Rate limit", type_ = "integer", json_path = ".spec.workspace.rateLimit.requestsPerSecond"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct CioPipelineSpec {
    /// Stops delivery: the workers are scaled to 0 and the HPA is removed. The queue is kept.
    pub suspend: bool,
    /// The BullMQ queue that jobs come from.
    pub queue: Queue,
    /// The Customer.io workspace that jobs go to.
    pub workspace: Workspace,
    /// How operations are sent.
    pub delivery: Delivery,
    /// The pods that deliver.
    pub worker: Worker,
    /// The container in every pod that reports the queue's depth.
    pub sidecar: Sidecar,
    /// When pods are added and removed.
    pub autoscaling: Autoscaling,
    /// What Prometheus gets.
    pub monitoring: Monitoring,
}

/// A BullMQ queue in Redis.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!self.name.contains(':')").message("spec.queue.name must not contain a colon: BullMQ refuses it; write for example cio-events instead of cio:events").field_path(".name"),
    validation = Rule::new("self.name == oldSelf.name && self.prefix == oldSelf.prefix").message("spec.queue.name and spec.queue.prefix are immutable: create a second CioPipeline for another queue"),
    validation = Rule::new("!has(self.redis.url) || !self.redis.url.matches('^rediss?-cluster://') || self.name.matches('[{][^{}]+[}]') || self.prefix.matches('[{][^{}]+[}]')").message("on a Redis Cluster all keys of a queue must share a slot: put a hash tag into spec.queue.prefix, for example {bull}")
)]
pub struct Queue {
    /// The queue's name, as given to BullMQ.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// The key prefix, as given to BullMQ.
    #[schemars(length(min = 1, max = 100))]
    pub prefix: String,
    /// Where the queue is.
    pub redis: Redis,
    /// How many finished jobs are kept, for jobs that carry no such setting of their own.
    pub retention: Retention,
}

/// The address of a Redis: exactly one of `url` and `urlSecretRef`.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.url) != has(self.urlSecretRef)").message("give exactly one of spec.queue.redis.url and spec.queue.redis.urlSecretRef"),
    validation = Rule::new("!has(self.url) || !self.url.contains('@')").message("spec.queue.redis.url must not contain a user or password: put the whole address into a Secret and name it in spec.queue.redis.urlSecretRef").field_path(".url"),
    validation = Rule::new("!has(self.url) || self.url.matches('^rediss?(-sentinel|-cluster)?://.+')").message("spec.queue.redis.url must start with redis://, rediss://, redis-sentinel:// or redis-cluster://").field_path(".url")
)]
pub struct Redis {
    /// `redis://HOST:PORT`, `rediss://…`, `redis-sentinel://H1:26379,H2:26379/MASTER/DB` or
    /// `redis-cluster://H1:PORT,H2:PORT`; no user or password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub url: Option<String>,
    /// A Secret that holds the whole address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_secret_ref: Option<SecretKeyRef>,
    /// A Secret that holds the certificate authority of a `rediss://` address, as PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// A key of a Secret in the same namespace.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretKeyRef {
    /// The Secret's name.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Finished jobs that stay in Redis, newest first.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Completed jobs.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub completed: i64,
    /// Failed jobs.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub failed: i64,
}

/// A Customer.io workspace.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.endpoint) || self.endpoint.matches('^https?://[^/@]+/?$')").message("spec.workspace.endpoint must be http:// or https:// with a host, without user, password or path, for example http://simulator").field_path(".endpoint")
)]
pub struct Workspace {
    /// Where the workspace's data is kept.
    pub region: Region,
    /// Replaces the region's host, for a simulator or a proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 500))]
    pub endpoint: Option<String>,
    /// The Secret with the Track API credentials.
    pub credentials_secret_ref: CredentialsSecretRef,
    /// The limit that all pods of all pipelines of this workspace share.
    pub rate_limit: RateLimit,
}

/// A Customer.io region.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// track.customer.io
    Us,
    /// track-eu.customer.io
    Eu,
}

impl Region {
    /// The region as `CUSTOMERIO_REGION` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
        }
    }
}

/// A Secret with a site id and a Track API key.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsSecretRef {
    /// The Secret's name, in the same namespace.
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The key that holds the site id.
    #[schemars(length(min = 1, max = 253))]
    pub site_id_key: String,
    /// The key that holds the Track API key.
    #[schemars(length(min = 1, max = 253))]
    pub api_key_key: String,
}

/// The limit of a workspace.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests in any span of one second, over all pods and pipelines that share the site id and
    /// the Redis. 0 is no limit.
    #[schemars(range(min = 0, max = 10_000))]
    pub requests_per_second: i32,
}

/// How operations are sent.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// `Batch` fills `/api/v2/batch`; `Single` sends one v1 request a job.
    pub mode: DeliveryMode,
}

/// Which endpoint carries operations.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryMode {
    /// Many operations in one request.
    Batch,
    /// One request for each operation.
    Single,
}

impl DeliveryMode {
    /// The mode as `CIO_DELIVERY_MODE` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Single => "single",
        }
    }
}

/// The HPA's numbers.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.minReplicas <= self.maxReplicas").message("spec.autoscaling.minReplicas must not be above spec.autoscaling.maxReplicas")
)]
pub struct Autoscaling {
    /// Pods that are always there.
    #[schemars(range(min = 1, max = 1000))]
    pub min_replicas: i32,
    /// Pods that are never exceeded.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: i32,
    /// The average CPU use, in percent of the requests, above which pods are added.
    #[schemars(range(min = 1, max = 1000))]
    pub cpu_utilization: i32,
    /// Jobs a pod should have to itself; more than that on average, and pods are added.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub queue_depth: i32,
    /// How the HPA asks for the depth. `Pods` is what this chart's adapter serves; `External` it
    /// serves with `metricsApi.external`, or another adapter serves `cio_queue_depth` with the label `pipeline`.
    pub metric_source: MetricSource,
    /// What happens while the workspace's limit is used up, or Customer.io takes nothing: `Scale` adds
    /// pods for the backlog all the same, ready for when there is room; `Hold` adds none that could
    /// do nothing.
    #[serde(default)]
    pub when_saturated: WhenSaturated,
    /// How fast pods are added and removed: `autoscaling/v2`'s own type. What is left out of
    /// `scaleUp` and `scaleDown` is defaulted field by field.
    pub behavior: HorizontalPodAutoscalerBehavior,
}

/// How the HPA asks for the depth.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricSource {
    /// `custom.metrics.k8s.io`: each pod's share of the queue.
    Pods,
    /// `external.metrics.k8s.io`: the whole queue, divided by the HPA.
    External,
}

/// What the number of pods does while more of them could do nothing.
#[derive(JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenSaturated {
    /// It follows the backlog.
    #[default]
    Scale,
    /// It does not grow. Needs this chart's adapter.
    Hold,
}

/// What Prometheus gets.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Creates a `PodMonitor` for the pods, where the cluster has that resource.
    pub pod_monitor: bool,
}
