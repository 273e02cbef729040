//! The cluster: its CRD, the person's rights, the operator and the adapter.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};

use crate::doctor::check::Check;
use crate::doctor::found::Found;

/// What installs or repairs the chart.
pub(in crate::doctor) const INSTALL: &str =
    "helm upgrade --install cio charts/cio-operator -n cio-system --create-namespace";
const VERSION: &str = "v1alpha1";

/// A right, and whether the person has it; nothing where the API server did not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::doctor) struct Right {
    pub(in crate::doctor) what: String,
    pub(in crate::doctor) allowed: Option<bool>,
}

pub(in crate::doctor) fn reachable(version: &Result<String, String>) -> Check {
    match version {
        Ok(version) => Check::pass("cluster", format!("Kubernetes {version}")),
        Err(error) => Check::failure(
            "cluster",
            format!("the API server does not answer: {error}"),
            "kubectl cluster-info; kubectl config get-contexts",
        ),
    }
}

/// No cluster is set: the rest can be checked, unless a pipeline was named.
pub(in crate::doctor) fn none(why: &str, needed: bool) -> Check {
    let finding = format!("no cluster is set, its checks were left out: {why}");
    let remedy = "set KUBECONFIG, or run it in a pod";
    if needed {
        Check::failure("cluster", finding, remedy)
    } else {
        Check::warning("cluster", finding, remedy)
    }
}

/// Compares what is installed with what this program would install.
pub(in crate::doctor) fn crd(
    found: Found<&CustomResourceDefinition>,
    ours: &CustomResourceDefinition,
) -> Check {
    let mend = "cio crd | kubectl apply --server-side -f -";
    let installed = match found {
        Found::Yes(installed) => installed,
        Found::No => {
            return Check::failure("crd", "ciopipelines.cio.dev is not installed", INSTALL);
        }
        Found::Forbidden => return not_allowed("crd", "customresourcedefinitions"),
        Found::Unknown(why) => return unknown("crd", &why),
    };
    let (Some(theirs), Some(own)) = (version(installed), version(ours)) else {
        let finding = format!("ciopipelines.cio.dev does not serve {VERSION}");
        return Check::failure("crd", finding, mend);
    };
    if !theirs.served {
        let finding = format!("ciopipelines.cio.dev does not serve {VERSION}");
        return Check::failure("crd", finding, mend);
    }
    if theirs.schema == own.schema {
        return Check::pass("crd", format!("{VERSION}, as in this version of cio"));
    }
    let finding = format!(
        "{VERSION} has another schema than in cio {}",
        env!("CARGO_PKG_VERSION")
    );
    Check::warning("crd", finding, mend)
}

fn version(crd: &CustomResourceDefinition) -> Option<&CustomResourceDefinitionVersion> {
    crd.spec
        .versions
        .iter()
        .find(|version| version.name == VERSION)
}

pub(in crate::doctor) fn rights(rights: &[Right]) -> Check {
    let lacking: Vec<&str> = rights
        .iter()
        .filter(|right| right.allowed != Some(true))
        .map(|right| right.what.as_str())
        .collect();
    if lacking.is_empty() {
        return Check::pass("permissions", "you may read all that is checked");
    }
    let finding = format!(
        "you may not: {}; what depends on it is not checked",
        lacking.join(", ")
    );
    Check::warning(
        "permissions",
        finding,
        "kubectl auth can-i --list; ask for these rights",
    )
}

/// Operator and adapter, by the component that their label names.
pub(in crate::doctor) fn parts(found: Found<&Vec<Deployment>>) -> Vec<Check> {
    let deployments = match found {
        Found::Yes(deployments) => deployments,
        Found::No => &Vec::new(),
        Found::Forbidden => return vec![not_allowed("operator", "deployments")],
        Found::Unknown(why) => return vec![unknown("operator", &why)],
    };
    let of = |component: &str| -> Vec<&Deployment> {
        let is = |it: &&Deployment| label(it, "app.kubernetes.io/component") == Some(component);
        deployments.iter().filter(is).collect()
    };
    let mut checks: Vec<Check> = of("operator")
        .into_iter()
        .map(|it| ready("operator", it))
        .collect();
    if checks.is_empty() {
        let finding = "no operator is installed: pipelines are not acted upon";
        checks.push(Check::failure("operator", finding, INSTALL));
    }
    if checks.len() > 1 {
        let finding = "several operators are installed; each acts on every pipeline";
        checks.push(Check::warning(
            "operator",
            finding,
            "helm list -A; helm uninstall all but one",
        ));
    }
    checks.extend(of("adapter").into_iter().map(|it| ready("adapter", it)));
    checks
}

fn label<'a>(deployment: &'a Deployment, key: &str) -> Option<&'a str> {
    let labels = deployment.metadata.labels.as_ref()?;
    labels.get(key).map(String::as_str)
}

fn ready(name: &'static str, deployment: &Deployment) -> Check {
    let of = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let called = deployment.metadata.name.as_deref().unwrap_or_default();
    let wanted = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1);
    let status = deployment.status.as_ref();
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
    let finding = format!("Deployment {of}/{called}: {ready} of {wanted} pods are ready");
    if ready >= 1 && wanted >= 1 {
        return Check::pass(name, finding);
    }
    Check::failure(
        name,
        finding,
        format!(
            "kubectl -n {of} describe deployment {called}; kubectl -n {of} logs deployment/{called}"
        ),
    )
}

pub(in crate::doctor) fn not_allowed(name: &'static str, what: &str) -> Check {
    Check::warning(
        name,
        format!("not checked: you may not read {what}"),
        format!("kubectl auth can-i get {what}"),
    )
}

pub(in crate::doctor) fn unknown(name: &'static str, why: &str) -> Check {
    Check::warning(
        name,
        format!("not checked: {why}"),
        "try again; kubectl get --raw /readyz?verbose",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::check::Verdict::{Failure, Pass, Warning};

    #[test]
    fn the_crd_is_there_served_and_this_versions() {
        let ours = crate::api::crd().unwrap();
        let mut unserved = ours.clone();
        unserved.spec.versions[0].served = false;
        let mut other = ours.clone();
        other.spec.versions[0].schema = None;
        let mut older = ours.clone();
        older.spec.versions[0].name = "v1alpha0".to_owned();
        for (found, verdict) in [
            (Found::Yes(&ours), Pass),
            (Found::Yes(&unserved), Failure),
            (Found::Yes(&other), Warning),
            (Found::Yes(&older), Failure),
            (Found::No, Failure),
            (Found::Forbidden, Warning),
            (Found::Unknown("503".to_owned()), Warning),
        ] {
            assert_eq!(crd(found.clone(), &ours).verdict, verdict, "{found:?}");
        }
    }

    #[test]
    fn lacking_rights_are_named() {
        let right = |what: &str, allowed| Right {
            what: what.to_owned(),
            allowed,
        };
        assert_eq!(rights(&[right("get secrets", Some(true))]).verdict, Pass);
        for allowed in [Some(false), None] {
            let found = rights(&[right("get pods", Some(true)), right("get secrets", allowed)]);
            assert_eq!(found.verdict, Warning);
            assert!(found.finding.contains("not: get secrets;"), "{found:?}");
        }
    }

    #[test]
    fn operator_and_adapter_need_a_ready_pod() {
        let part = |component: &str, ready: i32| -> Deployment {
            let labels = json!({"app.kubernetes.io/component": component});
            serde_json::from_value(json!({
                "metadata": {"namespace": "cio-system", "name": component, "labels": labels},
                "spec": {"replicas": 2, "selector": {}, "template": {}},
                "status": {"readyReplicas": ready},
            }))
            .unwrap()
        };
        for (found, verdicts) in [
            (
                vec![part("operator", 1), part("adapter", 2)],
                vec![Pass, Pass],
            ),
            (vec![part("operator", 2)], vec![Pass]),
            (
                vec![part("operator", 0), part("adapter", 0)],
                vec![Failure, Failure],
            ),
            (vec![], vec![Failure]),
            (
                vec![part("operator", 1), part("operator", 1)],
                vec![Pass, Pass, Warning],
            ),
        ] {
            let checks = parts(Found::Yes(&found));
            let seen: Vec<_> = checks.iter().map(|check| check.verdict).collect();
            assert_eq!(seen, verdicts, "{checks:?}");
        }
    }
}
