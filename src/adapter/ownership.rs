//! Whether the API server sends our groups' requests to us, or to somebody else.
//!
//! A cluster has one server per group. Where it is another one, ours answers nothing for that group
//! and says whose it is: a person has to decide.

use std::collections::BTreeMap;

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{Api, Client};

use super::groups::{EXTERNAL_METRICS, Group, Served};

/// A Service by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The groups that are somebody else's, by name: each with a sentence that says whose and what to do.
pub type Foreign = BTreeMap<&'static str, String>;

/// Those of `served` of which an `APIService` points at somebody else. One that does not exist yet
/// routes nothing to anybody, and counts as ours: the chart may create it after this pod.
pub(super) async fn foreign_groups(
    client: &Client,
    us: &ServiceName,
    served: &Served,
) -> Result<Foreign, kube::Error> {
    let api: Api<APIService> = Api::all(client.clone());
    let mut owners = Foreign::new();
    for group in served.groups() {
        for name in group.api_services() {
            let Some(found) = api.get_opt(&name).await? else {
                tracing::debug!(k8s.apiservice = name, "not created yet");
                continue;
            };
            if let Some(owner) = foreign(&found, us) {
                owners.insert(group.name, sentence(&name, &owner, us, group));
                break;
            }
        }
    }
    Ok(owners)
}

fn sentence(api_service: &str, owner: &str, us: &ServiceName, group: &Group) -> String {
    let values = if group == &EXTERNAL_METRICS {
        "metricsApi.external=false"
    } else {
        "metricsApi.mode=prometheus-adapter or none"
    };
    format!(
        "APIService {api_service} belongs to {owner}, not to Service {}/{}: this adapter answers \
         nothing for {}; remove the other one, or install with {values}",
        us.namespace, us.name, group.name
    )
}

/// Whether an `APIService` points at us.
pub fn is_ours(found: &APIService, us: &ServiceName) -> bool {
    foreign(found, us).is_none()
}

/// Who an `APIService` points at, when that is not us.
fn foreign(found: &APIService, us: &ServiceName) -> Option<String> {
    let Some(service) = found.spec.as_ref().and_then(|spec| spec.service.as_ref()) else {
        return Some("the API server itself".to_owned());
    };
    let namespace = service.namespace.as_deref().unwrap_or_default();
    let name = service.name.as_deref().unwrap_or_default();
    let is_us = (namespace, name) == (us.namespace.as_str(), us.name.as_str());
    (!is_us).then(|| format!("Service {namespace}/{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn owner(service: &Value) -> Option<String> {
        let us = ServiceName {
            namespace: "cio".to_owned(),
            name: "adapter".to_owned(),
        };
        let found = json!({
            "metadata": {"name": "v1beta2.custom.metrics.k8s.io"},
            "spec": {
                "groupPriorityMinimum": 100,
                "versionPriority": 200,
                "service": service,
            },
        });
        foreign(&serde_json::from_value(found).unwrap(), &us)
    }

    #[test]
    fn an_api_service_is_ours_only_when_it_names_our_service_in_our_namespace() {
        let service = |namespace: &str, name: &str| json!({"namespace": namespace, "name": name});
        for (service, expected) in [
            (service("cio", "adapter"), None),
            (
                service("monitoring", "adapter"),
                Some("Service monitoring/adapter"),
            ),
            (
                service("cio", "prometheus-adapter"),
                Some("Service cio/prometheus-adapter"),
            ),
            (json!(null), Some("the API server itself")),
        ] {
            assert_eq!(owner(&service).as_deref(), expected, "{service}");
        }
    }
}
