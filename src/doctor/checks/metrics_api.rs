//! Whose `custom.metrics.k8s.io` is, and whether it answers. `external.metrics.k8s.io` is
//! not looked at: whether the HPA acts says as much.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

use super::cluster::{INSTALL, not_allowed, unknown};
use crate::doctor::check::Check;
use crate::doctor::found::Found;

const NAME: &str = "metrics-api";

/// What the check needs.
#[derive(Debug)]
pub(in crate::doctor) struct Facts<'a> {
    /// The group's `APIService` objects.
    pub(in crate::doctor) services: Found<&'a Vec<APIService>>,
    /// The Services of our adapters, as `namespace/name`.
    pub(in crate::doctor) ours: &'a [String],
    /// Whether the pipeline's HPA has what it scales on; nothing where no pipeline is looked at.
    pub(in crate::doctor) acting: Option<bool>,
    /// Whether the pipeline's HPA asks this API at all.
    pub(in crate::doctor) needed: bool,
}

pub(in crate::doctor) fn check(facts: &Facts<'_>) -> Vec<Check> {
    let services = match facts.services.clone() {
        Found::Yes(services) => services,
        Found::No => &Vec::new(),
        Found::Forbidden => return vec![not_allowed(NAME, "apiservices")],
        Found::Unknown(why) => return vec![unknown(NAME, &why)],
    };
    if services.is_empty() {
        return vec![nobody(facts)];
    }
    services.iter().map(|service| one(facts, service)).collect()
}

fn nobody(facts: &Facts<'_>) -> Check {
    let finding = "nobody serves custom.metrics.k8s.io";
    if facts.needed {
        let remedy = format!("{INSTALL} --set metricsApi.mode=adapter");
        Check::failure(
            NAME,
            format!("{finding}: the HPA cannot see the queue"),
            remedy,
        )
    } else {
        Check::pass(
            NAME,
            format!("{finding}, and the pipeline asks for External metrics"),
        )
    }
}

fn one(facts: &Facts<'_>, service: &APIService) -> Check {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let behind = service.spec.as_ref().and_then(|spec| spec.service.as_ref());
    let owner = behind.map_or_else(
        || "the API server itself".to_owned(),
        |behind| {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{}/{}", part(&behind.namespace), part(&behind.name))
        },
    );
    if let Some(why) = unavailable(service) {
        let finding = format!("{name} of {owner} does not answer: {why}");
        let (of, called) = owner.split_once('/').unwrap_or_default();
        let remedy = format!(
            "kubectl describe apiservice {name}; kubectl -n {of} get endpoints {called}; kubectl -n {of} logs deployment/{called}"
        );
        return Check::failure(NAME, finding, remedy);
    }
    if facts.ours.contains(&owner) {
        return Check::pass(NAME, format!("{name} is served by {owner}"));
    }
    foreign(facts, name, &owner)
}

fn foreign(facts: &Facts<'_>, name: &str, owner: &str) -> Check {
    let finding = format!("{name} belongs to another adapter, {owner}");
    let remedy = format!(
        "remove that adapter (kubectl get apiservice {name} -o yaml shows whose it is), or let it serve \
         cio_queue_depth and install with --set metricsApi.mode=prometheus-adapter (its rule comes along) or none"
    );
    match (facts.acting, facts.needed) {
        (Some(true), _) => Check::warning(
            NAME,
            format!("{finding}, which gives the HPA what it needs"),
            remedy,
        ),
        (None, _) | (_, false) => Check::warning(NAME, finding, remedy),
        (Some(false), true) => Check::failure(
            NAME,
            format!("{finding}, and the HPA gets nothing from it"),
            remedy,
        ),
    }
}

fn unavailable(service: &APIService) -> Option<String> {
    let conditions = service.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|it| it.type_ == "Available")?;
    let said = [found.reason.as_deref(), found.message.as_deref()];
    let said = said.into_iter().flatten().collect::<Vec<_>>().join(", ");
    (found.status != "True").then_some(said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::check::Verdict::{self, Failure, Pass, Warning};

    /// The services, whether the HPA acts, whether it asks this API → the verdict.
    type Case = (Found<Vec<APIService>>, Option<bool>, bool, Verdict);

    fn service(namespace: &str, available: &str) -> APIService {
        let spec = json!({"groupPriorityMinimum": 100, "versionPriority": 200,
            "service": {"namespace": namespace, "name": "adapter"}});
        let condition = json!({"type": "Available", "status": available, "reason": "MissingEndpoints", "message": "no endpoints"});
        serde_json::from_value(json!({
            "metadata": {"name": "v1beta2.custom.metrics.k8s.io"},
            "spec": spec,
            "status": {"conditions": [condition]},
        }))
        .unwrap()
    }

    #[test]
    fn the_api_answers_and_is_ours_or_serves_the_hpa_all_the_same() {
        let ours = ["cio-system/adapter".to_owned()];
        let cases: &[Case] = &[
            (
                Found::Yes(vec![service("cio-system", "True")]),
                Some(true),
                true,
                Pass,
            ),
            (
                Found::Yes(vec![service("cio-system", "False")]),
                Some(true),
                true,
                Failure,
            ),
            (
                Found::Yes(vec![service("monitoring", "True")]),
                Some(true),
                true,
                Warning,
            ),
            (
                Found::Yes(vec![service("monitoring", "True")]),
                Some(false),
                true,
                Failure,
            ),
            (
                Found::Yes(vec![service("monitoring", "True")]),
                Some(false),
                false,
                Warning,
            ),
            (
                Found::Yes(vec![service("monitoring", "True")]),
                None,
                true,
                Warning,
            ),
            (Found::Yes(vec![]), None, true, Failure),
            (Found::No, Some(true), false, Pass),
            (Found::Forbidden, None, true, Warning),
        ];
        for (services, acting, needed, verdict) in cases {
            let facts = Facts {
                services: services.as_ref(),
                ours: &ours,
                acting: *acting,
                needed: *needed,
            };
            let found = check(&facts);
            assert_eq!(found[0].verdict, *verdict, "{found:?}");
        }
    }
}
