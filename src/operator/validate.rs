//! Step 2, pure: a resource → values that nothing downstream has to doubt.
//!
//! The API server has checked these and more (the CRD's schema and CEL); here they hold for
//! `cio render` too, and for a resource that is older than a rule.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};

use crate::api::{CioPipeline, CioPipelineSpec, NAME_MAX, TAKEN_MESSAGE, Variable};
use crate::queue::address::RedisAddress;
use crate::queue::names::{Prefix, QueueKeys, QueueName};

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
    /// The operator has lost a right: nothing in the spec is wrong.
    #[error(
        "the operator may not write {what}, whatever the spec says; `helm upgrade` of its chart puts \
         its roles back: {message}"
    )]
    Forbidden {
        /// The object's kind.
        what: &'static str,
        /// The API server's word.
        message: String,
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
            Self::Forbidden { .. } => "OperatorForbidden",
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
    queue(spec).map_err(Refusal::InvalidSpec)?;
    Ok(Validated {
        name,
        namespace: pipeline.namespace().unwrap_or_default(),
        owner: pipeline.controller_owner_ref(&()),
        spec: spec.clone(),
        settings: settings.clone(),
    })
}

fn rules(name: &str, spec: &CioPipelineSpec) -> [(bool, &'static str); 10] {
    let redis = &spec.queue.redis;
    let url = redis.url.as_deref();
    let endpoint = spec.workspace.endpoint.as_deref();
    [
        (
            name.len() > NAME_MAX,
            "metadata.name must have at most 50 characters",
        ),
        (name.is_empty(), "metadata.name must be given"),
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

/// What sidecar and worker would refuse when they start, by their own rules.
fn queue(spec: &CioPipelineSpec) -> Result<(), String> {
    let name: QueueName = spec.queue.name.parse().map_err(text)?;
    let prefix: Prefix = spec.queue.prefix.parse().map_err(text)?;
    let Some(url) = &spec.queue.redis.url else {
        return Ok(());
    };
    let address: RedisAddress = url.parse().map_err(text)?;
    address
        .check_keys(&QueueKeys::new(&prefix, &name))
        .map_err(text)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{pipeline, settings};
    use super::*;

    #[test]
    fn a_queue_that_sidecar_and_worker_would_refuse_is_refused_before_they_start() {
        let plain = "redis://redis:6379";
        for (name, prefix, url, expected) in [
            ("events", "bull", plain, None),
            ("events", "a:b", plain, None),
            ("events", "bull", "rediss-sentinel://a,b/main/2", None),
            ("events", "{bull}", "redis-cluster://a,b", None),
            ("a:b", "bull", plain, Some("spec.queue.name")),
            ("", "bull", plain, Some("spec.queue.name")),
            ("events", "", plain, Some("spec.queue.prefix")),
            ("events", "bull", "http://r", Some("begins with none of")),
            ("events", "bull", "redis://", Some("a host is missing")),
            ("events", "bull", "redis://a,b", Some("takes one host")),
            (
                "events",
                "bull",
                "redis://r?family=6",
                Some("question mark"),
            ),
            (
                "events",
                "bull",
                "redis-sentinel://a",
                Some("master's name"),
            ),
            ("events", "bull", "redis://r/one", Some("database")),
            (
                "events",
                "{}",
                "redis-cluster://a",
                Some("spec.queue.prefix"),
            ),
        ] {
            let mut pipeline = pipeline("");
            pipeline.spec.queue.name = name.to_owned();
            pipeline.spec.queue.prefix = prefix.to_owned();
            pipeline.spec.queue.redis.url = Some(url.to_owned());
            let refused = validate(&pipeline, &settings()).err();
            let why = refused.map(|refusal| refusal.to_string());
            let agrees = match (&why, expected) {
                (Some(why), Some(part)) => why.contains(part),
                (why, part) => why.is_none() && part.is_none(),
            };
            assert!(agrees, "{name} {prefix} {url}: {why:?}");
        }
    }
}
