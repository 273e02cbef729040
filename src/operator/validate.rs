//! Step 2, pure: a resource → values that nothing downstream has to doubt.
//!
//! The API server has checked these and more (the CRD's schema and CEL); here they hold for
//! `cio render` too, and for a resource that is older than a rule.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use crate::api::{CioPipeline, CioPipelineSpec, NAME_MAX, TAKEN_MESSAGE, Variable};

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
    /// The API server does not take what the spec leads to.
    #[error("the API server refuses {what}: {message}")]
    Apply {
        /// The object's kind.
        what: &'static str,
        /// The API server's word.
        message: String,
    },
}

impl Refusal {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidSpec(_) => "InvalidSpec",
            Self::NameTaken { .. } => "NameTaken",
            Self::Apply { .. } => "ApplyRefused",
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

fn rules(name: &str, spec: &CioPipelineSpec) -> [(bool, &'static str); 13] {
    let redis = &spec.queue.redis;
    let url = redis.url.as_deref();
    let cluster = url.is_some_and(|url| url.contains("-cluster://"));
    let endpoint = spec.workspace.endpoint.as_deref();
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
            url.is_some_and(|url| !known_scheme(url)),
            "spec.queue.redis.url must start with redis://, rediss://, redis-sentinel:// or \
             redis-cluster://",
        ),
        (
            endpoint.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")),
            "spec.workspace.endpoint must be http:// or https:// with a host",
        ),
        (
            spec.workspace.rate_limit.requests_per_second < 0,
            "spec.workspace.rateLimit.requestsPerSecond must be 0 (no limit) or more",
        ),
        (
            spec.worker.concurrency < 1 || spec.worker.max_concurrent < 1,
            "spec.worker.concurrency and spec.worker.maxConcurrent must be at least 1",
        ),
        (
            cluster && !has_hash_tag(&spec.queue.name) && !has_hash_tag(&spec.queue.prefix),
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
        (
            spec.worker.template.env.iter().any(Variable::is_taken),
            TAKEN_MESSAGE,
        ),
    ]
}

fn known_scheme(url: &str) -> bool {
    let scheme = url.split("://").next().unwrap_or_default();
    let base = scheme
        .trim_end_matches("-sentinel")
        .trim_end_matches("-cluster");
    url.contains("://") && matches!(base, "redis" | "rediss")
}

/// Whether Redis Cluster finds a hash tag: the first `{`, and something before the next `}`.
fn has_hash_tag(text: &str) -> bool {
    let after = text.split_once('{').map(|(_, after)| after);
    after
        .and_then(|after| after.find('}'))
        .is_some_and(|end| end > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tag_is_what_redis_takes_for_one() {
        for (text, expected) in [
            ("{bull}", true),
            ("a{b}c", true),
            ("{}", false),
            ("}{", false),
            ("bull", false),
        ] {
            assert_eq!(has_hash_tag(text), expected, "{text}");
        }
    }

    #[test]
    fn redis_addresses_are_known_by_their_schemes() {
        for (url, expected) in [
            ("redis://r", true),
            ("rediss://r", true),
            ("redis-sentinel://a,b/m", true),
            ("rediss-cluster://a", true),
            ("http://r", false),
            ("redis", false),
        ] {
            assert_eq!(known_scheme(url), expected, "{url}");
        }
    }
}
