//! Whose the API group is that the HPA asks, and whether it answers.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

use super::cluster::{INSTALL, not_allowed, unknown};
use crate::api::MetricSource;
use crate::doctor::check::Check;
use crate::doctor::found::Found;

const NAME: &str = "metrics-api";
const RESOURCE: &str = "resource-metrics";
const METRICS_SERVER: &str = "kubectl apply -f https://github.com/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml";

/// What the check needs.
#[derive(Debug)]
pub(in crate::doctor) struct Facts<'a> {
    /// The `APIService` objects of both groups.
    pub(in crate::doctor) services: Found<&'a Vec<APIService>>,
    /// The Services of our adapters, as `namespace/name`.
    pub(in crate::doctor) ours: &'a [String],
    /// What the pipeline scales on, and whether its HPA has it; nothing where no pipeline is
    /// looked at.
    pub(in crate::doctor) pipeline: Option<(MetricSource, Option<bool>)>,
}

pub(in crate::doctor) fn check(facts: &Facts<'_>) -> Vec<Check> {
    let services = match facts.services.clone() {
        Found::Yes(services) => services,
        Found::No => &Vec::new(),
        Found::Forbidden => return vec![not_allowed(NAME, "apiservices")],
        Found::Unknown(why) => return vec![unknown(NAME, &why)],
    };
    let asked = asked(facts, services);
    if asked.is_empty() {
        return vec![nobody(facts)];
    }
    asked
        .into_iter()
        .map(|service| one(facts, service))
        .collect()
}

/// Whether anybody serves CPU figures: without them the HPA adds pods for the queue and removes none.
pub(in crate::doctor) fn resource(found: Found<&APIService>) -> Check {
    let service = match found {
        Found::Yes(service) => service,
        Found::No => {
            let finding =
                "nobody serves metrics.k8s.io: without CPU figures the HPA removes no pod";
            return Check::warning(RESOURCE, finding, METRICS_SERVER);
        }
        Found::Forbidden => return not_allowed(RESOURCE, "apiservices"),
        Found::Unknown(why) => return unknown(RESOURCE, &why),
    };
    let owner = owner(service);
    match unavailable(service) {
        None => Check::pass(RESOURCE, format!("CPU figures are served by {owner}")),
        Some(why) => {
            let name = service.metadata.name.as_deref().unwrap_or_default();
            Check::warning(
                RESOURCE,
                format!(
                    "{name} of {owner} does not answer: {why}; without CPU figures the HPA removes no pod"
                ),
                format!("kubectl describe apiservice {name}"),
            )
        }
    }
}

/// Those that the pipeline's HPA asks. Without a pipeline those that one could: somebody else's external
/// metrics are none of our business, unless there is nothing but these.
fn asked<'a>(facts: &Facts<'_>, services: &'a [APIService]) -> Vec<&'a APIService> {
    let of = |source| services.iter().filter(move |it| is_of(it, source));
    if let Some((source, _)) = facts.pipeline {
        return of(source).collect();
    }
    let ours = |it: &&APIService| facts.ours.contains(&owner(it));
    let mut asked: Vec<_> = of(MetricSource::Pods).collect();
    asked.extend(of(MetricSource::External).filter(ours));
    if asked.is_empty() {
        asked.extend(of(MetricSource::External));
    }
    asked
}

fn is_of(service: &APIService, source: MetricSource) -> bool {
    let of = service.spec.as_ref().and_then(|spec| spec.group.as_deref());
    of == Some(group(source))
}

/// The Service behind it, as `namespace/name`.
fn owner(service: &APIService) -> String {
    let behind = service.spec.as_ref().and_then(|spec| spec.service.as_ref());
    behind.map_or_else(
        || "the API server itself".to_owned(),
        |behind| {
            let part = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{}/{}", part(&behind.namespace), part(&behind.name))
        },
    )
}

/// The API group that an HPA asks.
fn group(source: MetricSource) -> &'static str {
    match source {
        MetricSource::Pods => "custom.metrics.k8s.io",
        MetricSource::External => "external.metrics.k8s.io",
    }
}

fn nobody(facts: &Facts<'_>) -> Check {
    let source = facts
        .pipeline
        .map_or(MetricSource::Pods, |(source, _)| source);
    let value = match source {
        MetricSource::Pods => "mode=adapter",
        MetricSource::External => "external=true",
    };
    Check::failure(
        NAME,
        format!(
            "nobody serves {}: the HPA cannot see the queue",
            group(source)
        ),
        format!("{INSTALL} --set metricsApi.{value}"),
    )
}

fn one(facts: &Facts<'_>, service: &APIService) -> Check {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let owner = owner(service);
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
    let shown = format!("kubectl get apiservice {name} -o yaml shows whose it is");
    let remedy = if name.ends_with(group(MetricSource::External)) {
        format!(
            "let it serve cio_queue_depth with the label pipeline ({shown}), or set \
             spec.autoscaling.metricSource: Pods"
        )
    } else {
        format!(
            "remove that adapter ({shown}), or let it serve cio_queue_depth and install with \
             --set metricsApi.mode=prometheus-adapter (its rule comes along) or none"
        )
    };
    match facts.pipeline.and_then(|(_, acting)| acting) {
        Some(true) => Check::warning(
            NAME,
            format!("{finding}, which gives the HPA what it needs"),
            remedy,
        ),
        Some(false) => Check::failure(
            NAME,
            format!("{finding}, and the HPA gets nothing from it"),
            remedy,
        ),
        None => Check::warning(NAME, finding, remedy),
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

    /// The services, what the pipeline scales on and whether its HPA acts → verdicts and words.
    type Case<'a> = (
        Found<Vec<APIService>>,
        Option<(MetricSource, Option<bool>)>,
        &'a [(Verdict, &'a str)],
    );

    fn service(group: &str, namespace: &str, available: &str) -> APIService {
        let spec = json!({"group": group, "groupPriorityMinimum": 100, "versionPriority": 200,
            "service": {"namespace": namespace, "name": "adapter"}});
        let condition = json!({"type": "Available", "status": available, "reason": "MissingEndpoints", "message": "no endpoints"});
        serde_json::from_value(json!({
            "metadata": {"name": format!("v1beta1.{group}")},
            "spec": spec,
            "status": {"conditions": [condition]},
        }))
        .unwrap()
    }

    #[test]
    fn cpu_figures_are_served_or_it_is_said_what_lacks() {
        let service = |available| service("metrics.k8s.io", "kube-system", available);
        for (found, verdict, words) in [
            (Found::Yes(service("True")), Pass, "kube-system/adapter"),
            (Found::Yes(service("False")), Warning, "no endpoints"),
            (Found::No, Warning, "removes no pod"),
            (Found::Forbidden, Warning, "may not read"),
        ] {
            let check = resource(found.as_ref());
            assert_eq!(check.verdict, verdict, "{check:?}");
            assert!(check.finding.contains(words), "{words}: {check:?}");
        }
    }

    #[test]
    fn the_api_that_the_hpa_asks_answers_and_is_ours_or_serves_it_all_the_same() {
        use MetricSource::{External, Pods};
        let ours = ["cio-system/adapter".to_owned()];
        let custom = |namespace, available| service("custom.metrics.k8s.io", namespace, available);
        let external =
            |namespace, available| service("external.metrics.k8s.io", namespace, available);
        let well = custom("cio-system", "True");
        let theirs = custom("monitoring", "True");
        let cases: &[Case<'_>] = &[
            (
                Found::Yes(vec![well.clone()]),
                Some((Pods, Some(true))),
                &[(Pass, "served by cio-system/adapter")],
            ),
            (
                Found::Yes(vec![custom("cio-system", "False")]),
                Some((Pods, Some(true))),
                &[(Failure, "no endpoints")],
            ),
            (
                Found::Yes(vec![theirs.clone()]),
                Some((Pods, Some(true))),
                &[(Warning, "gives the HPA what it needs")],
            ),
            (
                Found::Yes(vec![theirs.clone()]),
                Some((Pods, Some(false))),
                &[(Failure, "gets nothing")],
            ),
            (
                Found::Yes(vec![theirs.clone()]),
                None,
                &[(Warning, "monitoring/adapter")],
            ),
            // Another group is none of this pipeline's business.
            (
                Found::Yes(vec![theirs.clone(), external("cio-system", "True")]),
                Some((External, Some(true))),
                &[(Pass, "v1beta1.external.metrics.k8s.io is served by")],
            ),
            (
                Found::Yes(vec![well.clone(), external("keda", "True")]),
                Some((External, Some(false))),
                &[(Failure, "keda/adapter")],
            ),
            (
                Found::Yes(vec![well.clone()]),
                Some((External, None)),
                &[(Failure, "nobody serves external.metrics.k8s.io")],
            ),
            (
                Found::Yes(vec![theirs, external("cio-system", "True")]),
                None,
                &[(Warning, "custom"), (Pass, "external")],
            ),
            (
                Found::Yes(vec![well, external("keda", "True")]),
                None,
                &[(Pass, "custom")],
            ),
            (
                Found::Yes(vec![external("keda", "True")]),
                None,
                &[(Warning, "keda/adapter")],
            ),
            (
                Found::Yes(vec![]),
                None,
                &[(Failure, "nobody serves custom.metrics.k8s.io")],
            ),
            (Found::Forbidden, None, &[(Warning, "apiservices")]),
        ];
        for (services, pipeline, expected) in cases {
            let found = check(&Facts {
                services: services.as_ref(),
                ours: &ours,
                pipeline: *pipeline,
            });
            let verdicts: Vec<_> = found.iter().map(|it| it.verdict).collect();
            let wanted: Vec<_> = expected.iter().map(|(verdict, _)| *verdict).collect();
            assert_eq!(verdicts, wanted, "{found:?}");
            for (check, (_, words)) in found.iter().zip(*expected) {
                assert!(check.finding.contains(words), "{words}: {check:?}");
                assert!(check.verdict == Pass || check.remedy.is_some(), "{check:?}");
            }
        }
    }
}
