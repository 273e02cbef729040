//! The plan as `CioPipeline` manifests, one for each shard.

use serde_json::{Value, json};

use super::capacity::{Pace, Plan};
use crate::api::{self, CioPipeline};

/// The manifests: `given` as it was written, with what the plan says in its place. Several are numbered, and so are
/// their queues and, with several workspaces, the Secrets: `customerio-0` and so on. `pipeline` is `given` as it was
/// read, with every default.
pub fn manifests(plan: &Plan, pace: &Pace, given: &Value, pipeline: &CioPipeline) -> Vec<Value> {
    (0..plan.shards)
        .map(|shard| manifest(plan, pace, given.clone(), pipeline, shard))
        .collect()
}

fn manifest(
    plan: &Plan,
    pace: &Pace,
    mut document: Value,
    pipeline: &CioPipeline,
    shard: u64,
) -> Value {
    let numbered = |name: &str, number: u64, of: u64| match of {
        1 => name.to_owned(),
        _ => format!("{name}-{number}"),
    };
    let secret = &pipeline.spec.workspace.credentials_secret_ref.name;
    let name = pipeline.metadata.name.as_deref().unwrap_or("events");
    document["metadata"]["name"] = numbered(name, shard, plan.shards).into();
    let spec = &mut document["spec"];
    spec["queue"]["name"] = numbered(&pipeline.spec.queue.name, shard, plan.shards).into();
    let workspace = &mut spec["workspace"];
    workspace["credentialsSecretRef"]["name"] =
        numbered(secret, shard % plan.workspaces, plan.workspaces).into();
    workspace["rateLimit"]["requestsPerSecond"] = pace.requests_per_second.unwrap_or(0).into();
    spec["delivery"]["mode"] = json!(pace.mode);
    spec["autoscaling"]["minReplicas"] = plan.replicas.min.into();
    spec["autoscaling"]["maxReplicas"] = plan.replicas.max.into();
    document
}

/// Whether `yaml` is a manifest that the resource's type and defaults accept.
pub fn check(yaml: &str) -> Result<(), api::ManifestError> {
    api::parse(yaml).map(|_| ())
}
