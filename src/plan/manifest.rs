//! The plan as `CioPipeline` manifests, one for each shard.

use serde_json::{Value, json};

use super::capacity::{Pace, Plan};
use crate::api;
use crate::api::DeliveryMode;

/// The pods that a pipeline has at least and at most by default: row H1 of the guide.
const DEFAULT_REPLICAS: (u64, u64) = (2, 20);

/// The manifests. The address of Redis and the Secrets' names are those of examples/pipeline.yaml;
/// with several workspaces each has a Secret of its own, `customerio-0` and so on.
pub fn manifests(plan: &Plan, pace: &Pace) -> Vec<Value> {
    (0..plan.shards)
        .map(|shard| manifest(plan, pace, shard))
        .collect()
}

fn manifest(plan: &Plan, pace: &Pace, shard: u64) -> Value {
    let numbered = |name: &str, number: u64, of: u64| match of {
        1 => name.to_owned(),
        _ => format!("{name}-{number}"),
    };
    let secret = numbered("customerio", shard % plan.workspaces, plan.workspaces);
    let each = |pods: u64| pods.div_ceil(plan.shards);
    let useful = plan.workers.useful.unwrap_or(plan.workers.peak);
    // More pods than can help are harmless, fewer than the guide's are not.
    let least = each(plan.workers.average).max(DEFAULT_REPLICAS.0);
    let most = each(plan.workers.peak.max(useful)).max(DEFAULT_REPLICAS.1);
    json!({
        "apiVersion": "cio.dev/v1alpha1",
        "kind": "CioPipeline",
        "metadata": {"name": numbered("events", shard, plan.shards)},
        "spec": {
            "queue": {
                "name": numbered("cio-events", shard, plan.shards),
                "redis": {"url": "redis://redis:6379"},
            },
            "workspace": {
                "credentialsSecretRef": {"name": secret},
                "rateLimit": {"requestsPerSecond": pace.requests_per_second.unwrap_or(0)},
            },
            "delivery": {"mode": match pace.mode {
                DeliveryMode::Batch => "Batch",
                DeliveryMode::Single => "Single",
            }},
            "autoscaling": {"minReplicas": least.min(most), "maxReplicas": most},
        }
    })
}

/// Whether `yaml` is a manifest that the resource's type and defaults accept.
pub fn check(yaml: &str) -> Result<(), api::ManifestError> {
    api::parse(yaml).map(|_| ())
}
