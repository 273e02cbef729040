//! What the API server tells.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;

use crate::api::CioPipeline;
use crate::doctor::checks::cluster::Right;
use crate::doctor::found::Found;

/// The first question: whoever does not answer it in this time is not asked more.
const PATIENCE: Duration = Duration::from_secs(10);
const OURS: &str = "app.kubernetes.io/name=cio-operator";
const API_SERVICES: [&str; 3] = [
    "v1beta1.custom.metrics.k8s.io",
    "v1beta2.custom.metrics.k8s.io",
    "v1beta1.external.metrics.k8s.io",
];
const RESOURCE_METRICS: &str = "v1beta1.metrics.k8s.io";
/// Verb, group, resource, and whether it is in the pipeline's namespace alone.
const RIGHTS: [(&str, &str, &str, bool); 6] = [
    ("get", "cio.dev", "ciopipelines", true),
    ("get", "", "secrets", true),
    ("get", "autoscaling", "horizontalpodautoscalers", true),
    ("list", "apps", "deployments", false),
    (
        "get",
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        false,
    ),
    ("get", "apiregistration.k8s.io", "apiservices", false),
];

/// The cluster as far as it concerns us.
#[derive(Debug)]
pub(in crate::doctor) struct Cluster {
    pub(in crate::doctor) crd: Found<CustomResourceDefinition>,
    pub(in crate::doctor) api_services: Found<Vec<APIService>>,
    /// What serves CPU figures.
    pub(in crate::doctor) resource_metrics: Found<APIService>,
    /// The Services of our adapters, as `namespace/name`.
    pub(in crate::doctor) adapters: Vec<String>,
    pub(in crate::doctor) deployments: Found<Vec<Deployment>>,
    pub(in crate::doctor) rights: Vec<Right>,
}

/// The API server's version, as a sign of life.
pub(in crate::doctor) async fn version(client: &Client) -> Result<String, String> {
    match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(info)) => Ok(info.git_version),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

/// Everything but the pipeline.
pub(in crate::doctor) async fn read(client: &Client, namespace: &str) -> Cluster {
    let api_services = api_services(client).await;
    Cluster {
        crd: get(&Api::all(client.clone()), "ciopipelines.cio.dev").await,
        adapters: adapters(client, &api_services).await,
        api_services,
        resource_metrics: get(&Api::all(client.clone()), RESOURCE_METRICS).await,
        deployments: list(&Api::all(client.clone()), OURS).await,
        rights: rights(client, namespace).await,
    }
}

/// The HPA of the pipeline `name`.
pub(in crate::doctor) async fn hpa(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Found<HorizontalPodAutoscaler> {
    let api = Api::namespaced(client.clone(), namespace);
    get(&api, &format!("{name}-worker")).await
}

/// The pipelines beside `pipeline` with its credentials and another Redis.
pub(in crate::doctor) async fn on_another_redis(
    client: &Client,
    namespace: &str,
    pipeline: &CioPipeline,
) -> Found<Vec<String>> {
    let api = Api::<CioPipeline>::namespaced(client.clone(), namespace);
    let all = list(&api, "").await;
    let workspace = |it: &CioPipeline| it.spec.workspace.credentials_secret_ref.clone();
    let redis = |it: &CioPipeline| {
        let redis = &it.spec.queue.redis;
        (redis.url.clone(), redis.url_secret_ref.clone())
    };
    let other =
        |it: &&CioPipeline| workspace(it) == workspace(pipeline) && redis(it) != redis(pipeline);
    let names = |all: Vec<CioPipeline>| {
        all.iter()
            .filter(other)
            .map(ResourceExt::name_any)
            .collect()
    };
    all.map(names)
}

async fn api_services(client: &Client) -> Found<Vec<APIService>> {
    let api = Api::<APIService>::all(client.clone());
    let mut services = Vec::new();
    for name in API_SERVICES {
        match get(&api, name).await {
            Found::Yes(service) => services.push(service),
            Found::No => {}
            Found::Forbidden => return Found::Forbidden,
            Found::Unknown(why) => return Found::Unknown(why),
        }
    }
    Found::Yes(services)
}

/// The Services of our adapters; where they may not be listed, what our own `APIService` objects name.
async fn adapters(client: &Client, api_services: &Found<Vec<APIService>>) -> Vec<String> {
    let selector = format!("{OURS},app.kubernetes.io/component=adapter");
    let found = list(&Api::<Service>::all(client.clone()), &selector).await;
    if let Found::Yes(services) = found {
        let name =
            |it: &Service| format!("{}/{}", it.namespace().unwrap_or_default(), it.name_any());
        return services.iter().map(name).collect();
    }
    let Found::Yes(api_services) = api_services else {
        return Vec::new();
    };
    let ours = api_services.iter().filter(|it| {
        it.labels()
            .get("app.kubernetes.io/name")
            .is_some_and(|name| name == "cio-operator")
    });
    ours.filter_map(|it| {
        let behind = it.spec.as_ref()?.service.as_ref()?;
        Some(format!(
            "{}/{}",
            behind.namespace.as_deref()?,
            behind.name.as_deref()?
        ))
    })
    .collect()
}

async fn rights(client: &Client, namespace: &str) -> Vec<Right> {
    let mut rights = Vec::new();
    for (verb, group, resource, inside) in RIGHTS {
        let scope = inside.then(|| namespace.to_owned());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    namespace: scope.clone(),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let api = Api::<SelfSubjectAccessReview>::all(client.clone());
        let answer = api.create(&PostParams::default(), &review).await;
        let place = scope.map_or_else(String::new, |it| format!(" in {it}"));
        rights.push(Right {
            what: format!("{verb} {resource}{place}"),
            allowed: answer.ok().and_then(|it| it.status).map(|it| it.allowed),
        });
    }
    rights
}

async fn get<K: Clone + Debug + DeserializeOwned>(api: &Api<K>, name: &str) -> Found<K> {
    Found::from_answer(api.get(name).await)
}

async fn list<K: Clone + Debug + DeserializeOwned>(api: &Api<K>, labels: &str) -> Found<Vec<K>> {
    let selected = ListParams::default().labels(labels);
    Found::from_answer(api.list(&selected).await.map(|list| list.items))
}
