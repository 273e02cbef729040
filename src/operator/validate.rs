//! Step 2, pure: a resource → values that nothing downstream has to doubt.
//!
//! The API server has checked the same rules (CEL in the CRD); here they hold for `cio render` too,
//! and for a resource that is older than a rule.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use crate::api::{CioPipeline, CioPipelineSpec, NAME_MAX};

/// What the operator itself brings to every pipeline.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The operator's own image: the sidecar's, and the worker's where the user names none.
    pub image: String,
    /// `imagePullPolicy` of that image, empty for the cluster's default.
    pub image_pull_policy: String,
}

/// Why a resource is not acted on; each says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field breaks a rule.
    #[error("{0}")]
    InvalidSpec(String),
    /// An object of that name is somebody else's.
    #[error(
        "{kind} {name} exists and does not belong to this CioPipeline: delete or rename it, or \
         give the CioPipeline another name"
    )]
    NameTaken {
        /// The object's kind.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
}

impl Refusal {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidSpec(_) => "InvalidSpec",
            Self::NameTaken { .. } => "NameTaken",
        }
    }
}

/// A pipeline that everything else is built from; the API server has no reason to refuse that.
#[derive(Debug, Clone)]
pub struct Validated {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`; empty when rendering a manifest that names none.
    pub namespace: String,
    /// Makes every object go with the pipeline; none when rendering without a cluster.
    pub owner: Option<OwnerReference>,
    /// The spec, with every default.
    pub spec: CioPipelineSpec,
    /// What the operator brings.
    pub settings: Settings,
}

impl Validated {
    /// The name of every object: `<name>-worker`.
    pub fn object_name(&self) -> String {
        format!("{}-worker", self.name)
    }
}

/// Checks a resource.
pub fn validate(pipeline: &CioPipeline, settings: &Settings) -> Result<Validated, Refusal> {
    let name = pipeline.name_any();
    let spec = &pipeline.spec;
    for (broken, message) in rules(&name, spec) {
        if broken {
            return Err(Refusal::InvalidSpec(message.to_owned()));
        }
    }
    Ok(Validated {
        name,
        namespace: pipeline.namespace().unwrap_or_default(),
        owner: pipeline.controller_owner_ref(&()),
        spec: spec.clone(),
        settings: settings.clone(),
    })
}

fn rules(name: &str, spec: &CioPipelineSpec) -> [(bool, &'static str); 8] {
    let redis = &spec.queue.redis;
    let url = redis.url.as_deref();
    let tagged = |text: &str| text.contains('{') && text.contains('}');
    let cluster = url.is_some_and(|url| url.starts_with("redis-cluster://"));
    [
        (
            name.len() > NAME_MAX,
            "metadata.name must have at most 50 characters",
        ),
        (name.is_empty(), "metadata.name must be given"),
        (
            spec.queue.name.is_empty() || spec.queue.name.contains(':'),
            "spec.queue.name must be given and must not contain a colon: BullMQ refuses it; write \
             for example cio-events instead of cio:events",
        ),
        (
            url.is_some() == redis.url_secret_ref.is_some(),
            "give exactly one of spec.queue.redis.url and spec.queue.redis.urlSecretRef",
        ),
        (
            url.is_some_and(|url| url.contains('@')),
            "spec.queue.redis.url must not contain a user or password: put the whole address into \
             a Secret and name it in spec.queue.redis.urlSecretRef",
        ),
        (
            cluster && !tagged(&spec.queue.name) && !tagged(&spec.queue.prefix),
            "on a Redis Cluster all keys of a queue must share a slot: put a hash tag into \
             spec.queue.prefix, for example {bull}",
        ),
        (
            spec.autoscaling.min_replicas < 1
                || spec.autoscaling.min_replicas > spec.autoscaling.max_replicas,
            "spec.autoscaling.minReplicas must be at least 1 and not above maxReplicas",
        ),
        (
            spec.sidecar.port == super::build::WORKER_METRICS_PORT,
            "spec.sidecar.port must not be 9101: the worker container serves its own metrics there",
        ),
    ]
}
