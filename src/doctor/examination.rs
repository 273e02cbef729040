//! The whole examination: asks each place in turn, hands what it learned to the checks.

use jiff::Timestamp;
use kube::Client;

use super::check::Check;
use super::checks::{clock, cluster, customerio, limit, metrics_api, pipeline, redis};
use super::gather;
use super::resolve::Resolver;
use crate::api;
use crate::delivery::client::{Endpoint, Region};
use crate::delivery::credentials::Credentials;
use crate::delivery::limiter::limit_key;
use crate::queue::condition;
use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;
use crate::queue::source::RedisSource;
use crate::runtime::clock::Clock;

/// Where to look.
#[derive(Debug)]
pub struct Request {
    /// A pipeline: its Redis and workspace take the place of those that nobody gave.
    pub pipeline: Option<String>,
    /// Its namespace; else that of the kubeconfig's context.
    pub namespace: Option<String>,
    /// Neither Redis nor workspace.
    pub cluster_only: bool,
    /// Redis, where it was given.
    pub redis: Option<RedisSource>,
    /// Redis, where nobody gave it and there is no pipeline.
    pub default_redis: RedisSource,
    /// The queue, where there is no pipeline.
    pub keys: QueueKeys,
    /// The workspace, where there is no pipeline; a sentence where it is not known.
    pub workspace: Result<Workspace, String>,
    /// This machine's clock.
    pub clock: Clock,
}

/// A workspace and how to get in.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its region, as set.
    pub region: Region,
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// As whom.
    pub credentials: Credentials,
}

/// What Redis and workspace are to be looked at.
struct Subject {
    redis: Option<RedisSource>,
    keys: QueueKeys,
    workspace: Result<Workspace, String>,
    /// Whether its addresses were meant for pods, and may mean nothing here.
    for_pods: bool,
}

/// Looks at everything; takes at most half a minute or so.
pub async fn examine(request: Request) -> Vec<Check> {
    let mut checks = Vec::new();
    let clock = request.clock.clone();
    let cluster_only = request.cluster_only;
    let subject = match Client::try_default().await {
        Ok(client) => in_cluster(&client, request, &mut checks).await,
        Err(error) => {
            let needed = request.pipeline.is_some();
            checks.push(cluster::none(&error.to_string(), needed));
            Some(without_cluster(request))
        }
    };
    if let Some(subject) = subject.filter(|_| !cluster_only) {
        let redis = look_at_redis(&subject, &clock, &mut checks).await;
        look_at_workspace(&subject, &clock, &mut checks).await;
        if let (Some((redis, now_ms)), Ok(workspace)) = (redis, &subject.workspace) {
            checks.extend(look_at_limit(&redis, now_ms, workspace).await);
        }
    }
    checks
}

fn without_cluster(request: Request) -> Subject {
    Subject {
        redis: Some(request.redis.unwrap_or(request.default_redis)),
        keys: request.keys,
        workspace: request.workspace,
        for_pods: false,
    }
}

async fn in_cluster(client: &Client, request: Request, checks: &mut Vec<Check>) -> Option<Subject> {
    let version = gather::cluster::version(client).await;
    checks.push(cluster::reachable(&version));
    if version.is_err() {
        // Without the pipeline nobody knows which queue was meant.
        return request.pipeline.is_none().then(|| without_cluster(request));
    }
    let default = client.default_namespace().to_owned();
    let namespace = request.namespace.clone().unwrap_or(default);
    let facts = gather::cluster::read(client, &namespace).await;
    checks.push(cluster::rights(&facts.rights));
    match api::crd() {
        Ok(ours) => checks.push(cluster::crd(facts.crd.as_ref(), &ours)),
        Err(error) => checks.push(cluster::unknown("crd", &error.to_string())),
    }
    checks.extend(cluster::parts(facts.deployments.as_ref()));
    checks.push(metrics_api::resource(facts.resource_metrics.as_ref()));
    let Some(name) = request.pipeline.clone() else {
        checks.extend(metrics_api::check(&metrics_api::Facts {
            services: facts.api_services.as_ref(),
            ours: &facts.adapters,
            pipeline: None,
        }));
        return Some(without_cluster(request));
    };
    let found = match Resolver::read(client.clone(), &namespace, &name).await {
        Ok(found) => found,
        Err(error) => {
            checks.push(Check::failure(
                "pipeline",
                error.to_string(),
                "kubectl get ciopipelines -A",
            ));
            return None;
        }
    };
    let hpa = gather::cluster::hpa(client, &namespace, &name).await;
    let source = found.pipeline().spec.autoscaling.metric_source;
    checks.extend(metrics_api::check(&metrics_api::Facts {
        services: facts.api_services.as_ref(),
        ours: &facts.adapters,
        pipeline: Some((source, pipeline::acting(&hpa))),
    }));
    checks.push(pipeline::ready(found.pipeline()));
    checks.push(pipeline::hpa(hpa.as_ref(), found.pipeline()));
    let others = gather::cluster::on_another_redis(client, &namespace, found.pipeline()).await;
    checks.push(limit::split(others));
    subject_of(&found, request, checks).await
}

/// What the pipeline's pods are given.
async fn subject_of(
    found: &Resolver,
    request: Request,
    checks: &mut Vec<Check>,
) -> Option<Subject> {
    let keys = match found.keys() {
        Ok(keys) => keys,
        Err(error) => {
            checks.push(Check::failure(
                "queue",
                error.to_string(),
                "correct spec.queue",
            ));
            return None;
        }
    };
    let spec = &found.pipeline().spec;
    let redis = found.redis().await;
    if spec.queue.redis.url_secret_ref.is_some() || spec.queue.redis.ca_secret_ref.is_some() {
        checks.push(pipeline::secret(
            "redis-secret",
            "the address of Redis",
            &redis,
        ));
    }
    let credentials = found.credentials().await;
    checks.push(pipeline::secret(
        "credentials-secret",
        "site id and Track API key",
        &credentials,
    ));
    let for_pods = request.redis.is_none();
    Some(Subject {
        redis: request.redis.or(redis.ok()),
        keys,
        workspace: workspace_of(found, credentials.map_err(|error| error.to_string())),
        for_pods,
    })
}

fn workspace_of(
    found: &Resolver,
    credentials: Result<Credentials, String>,
) -> Result<Workspace, String> {
    let workspace = &found.pipeline().spec.workspace;
    let region = match workspace.region {
        api::Region::Us => Region::Us,
        api::Region::Eu => Region::Eu,
    };
    let endpoint = match &workspace.endpoint {
        None => Endpoint::of(region),
        Some(text) => text
            .parse()
            .map_err(|error| format!("spec.workspace.endpoint: {error}"))?,
    };
    Ok(Workspace {
        region,
        endpoint,
        credentials: credentials?,
    })
}

/// The connection and Redis' time, where it answered.
async fn look_at_redis(
    subject: &Subject,
    clock: &Clock,
    checks: &mut Vec<Check>,
) -> Option<(Redis, u64)> {
    let source = subject.redis.clone()?;
    let address = match source.address().await {
        Ok(address) => address,
        Err(error) => {
            checks.push(Check::failure(
                "redis",
                error.to_string(),
                "correct REDIS_URL",
            ));
            return None;
        }
    };
    if let Err(error) = address.check_keys(&subject.keys) {
        checks.push(Check::failure(
            "redis",
            error.to_string(),
            "change prefix or name of the queue",
        ));
    }
    let redis = Redis::new(source);
    let before = clock.now();
    let condition = match condition::read(&redis, &subject.keys).await {
        Ok(condition) => condition,
        Err(error) => {
            checks.push(silent(subject, &address.to_string(), &error.to_string()));
            return None;
        }
    };
    let after = clock.now();
    checks.push(Check::pass("redis", format!("{address} answers")));
    checks.extend(redis::checks(&condition));
    let theirs = i64::try_from(condition.redis_time_ms).ok();
    if let Some(theirs) = theirs.and_then(|ms| Timestamp::from_millisecond(ms).ok()) {
        checks.push(clock::check(
            "clock-redis",
            "Redis'",
            theirs,
            (before, after),
        ));
    }
    Some((redis, condition.redis_time_ms))
}

fn silent(subject: &Subject, address: &str, error: &str) -> Check {
    let finding = format!("{address} cannot be used: {error}");
    if subject.for_pods {
        let remedy = "its name may mean something in the cluster only: \
            kubectl port-forward service/REDIS 6379, then cio doctor … --redis-url redis://127.0.0.1:6379";
        return Check::warning("redis", finding, remedy);
    }
    Check::failure(
        "redis",
        finding,
        "redis-cli -u \"$REDIS_URL\" ping; correct REDIS_URL",
    )
}

async fn look_at_workspace(subject: &Subject, clock: &Clock, checks: &mut Vec<Check>) {
    let workspace = match &subject.workspace {
        Ok(workspace) => workspace,
        Err(why) => return checks.push(customerio::not_given(why)),
    };
    let before = clock.now();
    let asked = gather::customerio::ask(
        workspace.region,
        &workspace.endpoint,
        &workspace.credentials,
    )
    .await;
    match asked {
        Ok(asked) => {
            checks.extend(customerio::checks(&asked.facts));
            if let Some(date) = asked.date {
                let times = (before, clock.now());
                checks.push(clock::check(
                    "clock-customerio",
                    "Customer.io's",
                    date,
                    times,
                ));
            }
        }
        Err(error) => {
            let replaced = workspace.endpoint != Endpoint::of(workspace.region);
            checks.push(customerio::unreachable(
                &error,
                subject.for_pods && replaced,
            ));
        }
    }
}

async fn look_at_limit(redis: &Redis, now_ms: u64, workspace: &Workspace) -> Option<Check> {
    let key = limit_key(workspace.region, workspace.credentials.site_id());
    let fields = condition::hash(redis, &key).await.ok()?;
    Some(limit::shared(&fields, now_ms))
}
