//! The two containers of a pod, and the volumes they share.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, HTTPGetAction, KeyToPath, Probe, ResourceRequirements,
    SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::validate::Validated;
use super::{SIDECAR, WORKER, WORKER_METRICS_PORT, env};
use crate::api::quantity::amount;
use crate::api::{Amounts, Resources};

/// Where the Customer.io credentials are mounted.
pub(super) const CREDENTIALS_DIR: &str = "/etc/cio/credentials";
/// Where the site id is mounted for the sidecar, which needs no key.
pub(super) const SITE_ID_FILE: &str = "/etc/cio/workspace/siteId";
/// Where the Redis address is mounted, if it comes from a Secret.
pub(super) const REDIS_URL_FILE: &str = "/etc/cio/redis/url";
/// Where the certificate authority of Redis is mounted, if there is one.
pub(super) const REDIS_CA_FILE: &str = "/etc/cio/redis-ca/ca.crt";

/// The worker: ours, or any BullMQ worker. Only ours has probes and arguments we know.
pub(super) fn worker(pipeline: &Validated) -> Container {
    let spec = &pipeline.spec.worker;
    let ours = spec.image.is_empty();
    let image = if ours {
        pipeline.settings.image.clone()
    } else {
        spec.image.clone()
    };
    let ours_then = |probe: fn() -> Probe| ours.then(probe);
    Container {
        name: WORKER.to_owned(),
        image: Some(image),
        image_pull_policy: if ours { pull_policy(pipeline) } else { None },
        args: ours.then(|| vec!["worker".to_owned()]),
        env: Some(env::worker(pipeline)),
        ports: ours.then(|| vec![port("worker-metrics", WORKER_METRICS_PORT)]),
        readiness_probe: ours_then(|| probe("/readyz", WORKER_METRICS_PORT)),
        liveness_probe: ours_then(|| probe("/healthz", WORKER_METRICS_PORT)),
        resources: Some(resources(&spec.resources)),
        security_context: Some(restricted()),
        volume_mounts: Some(mounts(pipeline, true)),
        ..Container::default()
    }
}

/// The sidecar: a native one, so that it starts before the worker and ends after it.
pub(super) fn sidecar(pipeline: &Validated) -> Container {
    let spec = &pipeline.spec.sidecar;
    let mut mounts = mounts(pipeline, false);
    if env::shares_the_limit(pipeline) {
        mounts.push(mount("workspace", "/etc/cio/workspace"));
    }
    Container {
        name: SIDECAR.to_owned(),
        image: Some(pipeline.settings.image.clone()),
        image_pull_policy: pull_policy(pipeline),
        args: Some(vec!["metrics".to_owned()]),
        restart_policy: Some("Always".to_owned()),
        env: Some(env::sidecar(pipeline)),
        ports: Some(vec![port(SIDECAR, spec.port)]),
        readiness_probe: Some(probe("/readyz", spec.port)),
        liveness_probe: Some(probe("/healthz", spec.port)),
        resources: Some(resources(&spec.resources)),
        security_context: Some(restricted()),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..Container::default()
    }
}

/// The Secrets as files, so that a rotated one is read without a restart. They are optional here:
/// a missing Secret then shows in the container's waiting reason, where it can be recognised.
pub(super) fn volumes(pipeline: &Validated) -> Vec<Volume> {
    let credentials = &pipeline.spec.workspace.credentials_secret_ref;
    let redis = &pipeline.spec.queue.redis;
    let mut volumes = vec![secret_volume(
        "credentials",
        &credentials.name,
        &[
            (&credentials.site_id_key, "siteId"),
            (&credentials.api_key_key, "apiKey"),
        ],
    )];
    if env::shares_the_limit(pipeline) {
        volumes.push(secret_volume(
            "workspace",
            &credentials.name,
            &[(&credentials.site_id_key, "siteId")],
        ));
    }
    if let Some(key) = &redis.url_secret_ref {
        volumes.push(secret_volume("redis", &key.name, &[(&key.key, "url")]));
    }
    if let Some(key) = &redis.ca_secret_ref {
        volumes.push(secret_volume(
            "redis-ca",
            &key.name,
            &[(&key.key, "ca.crt")],
        ));
    }
    volumes
}

fn mounts(pipeline: &Validated, with_credentials: bool) -> Vec<VolumeMount> {
    let redis = &pipeline.spec.queue.redis;
    let mut mounts = Vec::new();
    if with_credentials {
        mounts.push(mount("credentials", CREDENTIALS_DIR));
    }
    if redis.url_secret_ref.is_some() {
        mounts.push(mount("redis", "/etc/cio/redis"));
    }
    if redis.ca_secret_ref.is_some() {
        mounts.push(mount("redis-ca", "/etc/cio/redis-ca"));
    }
    mounts
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

fn secret_volume(name: &str, secret: &str, items: &[(&str, &str)]) -> Volume {
    let items = items
        .iter()
        .map(|(key, path)| KeyToPath {
            key: (*key).to_owned(),
            path: (*path).to_owned(),
            mode: None,
        })
        .collect();
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            items: Some(items),
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn pull_policy(pipeline: &Validated) -> Option<String> {
    let policy = &pipeline.settings.image_pull_policy;
    (!policy.is_empty()).then(|| policy.clone())
}

fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, port: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(port),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(5),
        timeout_seconds: Some(2),
        failure_threshold: Some(6),
        ..Probe::default()
    }
}

fn resources(resources: &Resources) -> ResourceRequirements {
    let Resources { requests, limits } = resources;
    let limits = Amounts {
        cpu: at_least(limits.cpu.as_ref(), requests.cpu.as_ref()),
        memory: at_least(limits.memory.as_ref(), requests.memory.as_ref()),
    };
    ResourceRequirements {
        requests: amounts(requests),
        limits: amounts(&limits),
        claims: None,
    }
}

/// A limit, raised to the request where that is more: the API server takes nothing else, and a
/// user who asks for more memory should not have to know of the limit's default.
fn at_least(limit: Option<&Quantity>, request: Option<&Quantity>) -> Option<Quantity> {
    let (limit, request) = (limit?, request.unwrap_or(limit?));
    let too_low = amount(limit)? < amount(request)?;
    Some(if too_low {
        request.clone()
    } else {
        limit.clone()
    })
}

fn amounts(amounts: &Amounts) -> Option<BTreeMap<String, Quantity>> {
    let named = [("cpu", &amounts.cpu), ("memory", &amounts.memory)];
    let map: BTreeMap<String, Quantity> = named
        .into_iter()
        .filter_map(|(name, amount)| Some((name.to_owned(), amount.clone()?)))
        .collect();
    (!map.is_empty()).then_some(map)
}

/// What the Pod Security Standard "restricted" asks of a container, and a read-only root.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        ..SecurityContext::default()
    }
}
