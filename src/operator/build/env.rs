//! The variables of both containers, by the names of the command line.
//!
//! The guide's three (`REDIS_URL`, `CUSTOMERIO_SITE_ID`, `CUSTOMERIO_TRACK_API_KEY`) are always
//! among the worker's, under `env`, so that any BullMQ worker can stand there.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use super::super::validate::Validated;
use super::WORKER_METRICS_PORT;
use super::container::{CREDENTIALS_DIR, REDIS_CA_FILE, REDIS_URL_FILE, SITE_ID_FILE};
use crate::api::Variable;

/// Seconds between the worker's own end of grace and the kubelet's SIGKILL.
const GRACE_MARGIN: i64 = 5;

/// What the worker container is told.
pub(super) fn worker(pipeline: &Validated) -> Vec<EnvVar> {
    let spec = &pipeline.spec;
    let credentials = &spec.workspace.credentials_secret_ref;
    let mut env = queue(pipeline);
    env.extend([
        secret(
            "CUSTOMERIO_SITE_ID",
            &credentials.name,
            &credentials.site_id_key,
        ),
        secret(
            "CUSTOMERIO_TRACK_API_KEY",
            &credentials.name,
            &credentials.api_key_key,
        ),
        plain("CUSTOMERIO_CREDENTIALS_DIR", CREDENTIALS_DIR),
        plain("CUSTOMERIO_REGION", spec.workspace.region.as_str()),
    ]);
    if let Some(endpoint) = &spec.workspace.endpoint {
        env.push(plain("CUSTOMERIO_TRACK_URL", endpoint));
    }
    let grace = grace_period(pipeline).saturating_sub(GRACE_MARGIN).max(1);
    env.extend([
        number("CIO_CONCURRENCY", spec.worker.concurrency),
        number(
            "CIO_REQUESTS_PER_SECOND",
            spec.workspace.rate_limit.requests_per_second,
        ),
        number("CIO_MAX_CONCURRENT", spec.worker.max_concurrent),
        plain("CIO_DELIVERY_MODE", spec.delivery.mode.as_str()),
        number("CIO_KEEP_COMPLETED", spec.queue.retention.completed),
        number("CIO_KEEP_FAILED", spec.queue.retention.failed),
        number("CIO_GRACE", grace),
        // The sidecar writes the line with the queue's counts.
        plain("CIO_QUEUE_HEALTH_LOG", "false"),
        number("CIO_METRICS_PORT", WORKER_METRICS_PORT),
    ]);
    env.extend(spec.worker.template.env.iter().map(added));
    env
}

/// What the sidecar is told.
pub(super) fn sidecar(pipeline: &Validated) -> Vec<EnvVar> {
    let mut env = queue(pipeline);
    env.push(number("CIO_METRICS_PORT", pipeline.spec.sidecar.port));
    if shares_the_limit(pipeline) {
        let workspace = &pipeline.spec.workspace;
        let rate = workspace.rate_limit.requests_per_second;
        env.extend([
            plain("CIO_SITE_ID_FILE", SITE_ID_FILE),
            plain("CUSTOMERIO_REGION", workspace.region.as_str()),
            number("CIO_REQUESTS_PER_SECOND", rate),
        ]);
    }
    env
}

/// Whether the worker keeps the workspace's limit in Redis: ours does, where there is one.
pub(super) fn shares_the_limit(pipeline: &Validated) -> bool {
    let spec = &pipeline.spec;
    spec.worker.image.is_empty() && spec.workspace.rate_limit.requests_per_second > 0
}

/// Seconds a pod has between SIGTERM and SIGKILL.
pub(super) fn grace_period(pipeline: &Validated) -> i64 {
    pipeline
        .spec
        .worker
        .template
        .termination_grace_period_seconds
        .unwrap_or(30)
}

fn queue(pipeline: &Validated) -> Vec<EnvVar> {
    let queue = &pipeline.spec.queue;
    let mut env = vec![
        plain("CIO_PIPELINE", &pipeline.name),
        plain("CIO_QUEUE", &queue.name),
        plain("CIO_QUEUE_PREFIX", &queue.prefix),
    ];
    if let Some(url) = &queue.redis.url {
        env.push(plain("REDIS_URL", url));
    }
    if let Some(key) = &queue.redis.url_secret_ref {
        env.push(secret("REDIS_URL", &key.name, &key.key));
        env.push(plain("CIO_REDIS_URL_FILE", REDIS_URL_FILE));
    }
    if queue.redis.ca_secret_ref.is_some() {
        env.push(plain("CIO_REDIS_CA_FILE", REDIS_CA_FILE));
    }
    env
}

fn added(it: &Variable) -> EnvVar {
    EnvVar {
        name: it.name.clone(),
        value: it.value.clone(),
        value_from: it.value_from.clone(),
    }
}

fn plain(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    }
}

fn number(name: &str, value: impl Into<i64>) -> EnvVar {
    plain(name, &value.into().to_string())
}

fn secret(name: &str, secret: &str, key: &str) -> EnvVar {
    let secret_key_ref = SecretKeySelector {
        name: secret.to_owned(),
        key: key.to_owned(),
        optional: None,
    };
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(secret_key_ref),
            ..EnvVarSource::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::test_support::{MINIMAL, settings};
    use super::super::super::validate::validate;
    use super::*;
    use crate::api::{self, TAKEN};

    #[test]
    fn every_variable_that_the_operator_sets_is_taken_and_no_other() {
        let one = "{url: 'redis://redis:6379'}";
        let other = "{urlSecretRef: {name: a, key: b}, caSecretRef: {name: a, key: b}}";
        let endpoint = "  workspace: {endpoint: 'http://c'}\n";
        let all = [MINIMAL.to_owned(), MINIMAL.replace(one, other)].map(|manifest| {
            let pipeline = api::parse(&format!("{manifest}{endpoint}")).unwrap();
            worker(&validate(&pipeline, &settings()).unwrap())
        });
        let mut names: Vec<_> = all.into_iter().flatten().map(|it| it.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names, TAKEN);
    }
}
