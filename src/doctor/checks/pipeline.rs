//! A pipeline, its HPA and its Secrets.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::cluster::{not_allowed, unknown};
use crate::api::CioPipeline;
use crate::doctor::check::Check;
use crate::doctor::found::Found;
use crate::doctor::resolve::ResolveError;

/// What the operator says of it.
pub(in crate::doctor) fn ready(pipeline: &CioPipeline) -> Check {
    let name = pipeline.metadata.name.as_deref().unwrap_or_default();
    let conditions = pipeline.status.as_ref().map(|status| &status.conditions);
    let found = conditions.and_then(|all| all.iter().find(|it| it.type_ == "Ready"));
    let remedy = format!("kubectl describe ciopipeline {name}");
    match found {
        Some(ready) if ready.status == "True" => Check::pass("pipeline", "ready"),
        Some(ready) if pipeline.spec.suspend => {
            let remedy = format!(
                "kubectl patch ciopipeline {name} --type=merge -p '{{\"spec\":{{\"suspend\":false}}}}'"
            );
            Check::warning("pipeline", format!("suspended: {}", ready.reason), remedy)
        }
        Some(ready) => {
            let finding = format!("not ready, {}: {}", ready.reason, ready.message);
            Check::failure("pipeline", finding, remedy)
        }
        None => Check::failure(
            "pipeline",
            "no operator has looked at it",
            "kubectl get deployments -A -l app.kubernetes.io/name=cio-operator",
        ),
    }
}

/// Whether the HPA has what it scales on, where it says so.
pub(in crate::doctor) fn acting(found: &Found<HorizontalPodAutoscaler>) -> Option<bool> {
    let Found::Yes(hpa) = found else { return None };
    let active = condition(hpa, "ScalingActive")?;
    Some(active.0 == "True")
}

/// Whether the HPA can act.
pub(in crate::doctor) fn hpa(
    found: Found<&HorizontalPodAutoscaler>,
    pipeline: &CioPipeline,
) -> Check {
    let name = pipeline.metadata.name.as_deref().unwrap_or_default();
    let hpa = match found {
        Found::Yes(hpa) => hpa,
        Found::No if pipeline.spec.suspend => {
            return Check::pass("hpa", "none while the pipeline is suspended");
        }
        Found::No => {
            let remedy = format!("kubectl describe ciopipeline {name}; is the operator ready?");
            return Check::failure("hpa", format!("{name}-worker is missing"), remedy);
        }
        Found::Forbidden => return not_allowed("hpa", "horizontalpodautoscalers"),
        Found::Unknown(why) => return unknown("hpa", &why),
    };
    let remedy = format!("kubectl describe hpa {name}-worker");
    for kind in ["AbleToScale", "ScalingActive"] {
        if let Some(("False", said)) = condition(hpa, kind)
            .as_ref()
            .map(|(status, said)| (status.as_str(), said))
        {
            return Check::failure("hpa", format!("cannot act: {said}"), remedy);
        }
    }
    let status = hpa.status.clone().unwrap_or_default();
    let counts = format!(
        "acts: {} pods, wants {}, at most {}",
        status.current_replicas.unwrap_or(0),
        status.desired_replicas,
        hpa.spec.as_ref().map_or(0, |spec| spec.max_replicas)
    );
    if condition(hpa, "ScalingActive").is_none() {
        return Check::warning("hpa", "has not looked yet", remedy);
    }
    Check::pass("hpa", counts)
}

/// Status, and reason with message.
fn condition(hpa: &HorizontalPodAutoscaler, kind: &str) -> Option<(String, String)> {
    let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|it| it.type_ == kind)?;
    let (reason, message) = (found.reason.as_deref(), found.message.as_deref());
    let said = [reason, message].into_iter().flatten().collect::<Vec<_>>();
    Some((found.status.clone(), said.join(": ")))
}

/// Whether a Secret gave what the pipeline names. `name` is the check's.
pub(in crate::doctor) fn secret<T>(
    name: &'static str,
    what: &str,
    read: &Result<T, ResolveError>,
) -> Check {
    match read {
        Ok(_) => Check::pass(name, format!("{what} is there")),
        Err(error) if error.is_forbidden() => not_allowed(name, "secrets"),
        Err(error @ ResolveError::Read { .. }) => unknown(name, &error.to_string()),
        Err(error) => Check::failure(
            name,
            error.to_string(),
            "kubectl create secret generic NAME --from-literal=KEY=…, in the pipeline's namespace; or correct the name in the spec",
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::doctor::check::Verdict::{Failure, Pass, Warning};

    fn pipeline(suspend: bool, conditions: &Value) -> CioPipeline {
        let yaml = format!(
            "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: events}}\nspec:\n  suspend: {suspend}\n  \
             queue: {{redis: {{url: 'redis://r'}}}}\n  workspace: {{credentialsSecretRef: {{name: c}}}}\n"
        );
        let mut pipeline = crate::api::parse(&yaml).unwrap();
        pipeline.status = serde_json::from_value(json!({ "conditions": conditions })).unwrap();
        pipeline
    }

    fn said(status: &str) -> Value {
        json!([{"type": "Ready", "status": status, "reason": "SecretMissing", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    }

    #[test]
    fn the_operators_word_is_passed_on() {
        for (suspend, conditions, verdict) in [
            (false, said("True"), Pass),
            (false, said("False"), Failure),
            (true, said("False"), Warning),
            (false, json!([]), Failure),
        ] {
            let found = ready(&pipeline(suspend, &conditions));
            assert_eq!(found.verdict, verdict, "{found:?}");
        }
    }

    #[test]
    fn an_hpa_that_cannot_act_says_why() {
        let with = |conditions: Value| -> HorizontalPodAutoscaler {
            serde_json::from_value(
                json!({"status": {"desiredReplicas": 2, "conditions": conditions}}),
            )
            .unwrap()
        };
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "FailedGetPodsMetric", "message": "m"});
        let able = condition("AbleToScale", "True");
        for (found, suspend, verdict) in [
            (
                Found::Yes(with(json!([able, condition("ScalingActive", "True")]))),
                false,
                Pass,
            ),
            (
                Found::Yes(with(json!([able, condition("ScalingActive", "False")]))),
                false,
                Failure,
            ),
            (
                Found::Yes(with(json!([condition("AbleToScale", "False")]))),
                false,
                Failure,
            ),
            (Found::Yes(with(json!([]))), false, Warning),
            (Found::No, false, Failure),
            (Found::No, true, Pass),
            (Found::Forbidden, false, Warning),
        ] {
            let check = hpa(found.as_ref(), &pipeline(suspend, &json!([])));
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }

    #[test]
    fn a_secret_that_lacks_a_key_fails_and_one_that_may_not_be_read_warns() {
        let missing = ResolveError::NoKey {
            namespace: "n".to_owned(),
            secret: "customerio".to_owned(),
            key: "siteId".to_owned(),
            has: "apiKey".to_owned(),
        };
        let status = kube::core::Status::failure("no", "Forbidden").with_code(403);
        let forbidden = ResolveError::Read {
            what: "Secret",
            name: "customerio".to_owned(),
            source: kube::Error::Api(Box::new(status)),
        };
        for (read, verdict) in [
            (Ok(()), Pass),
            (Err(missing), Failure),
            (Err(forbidden), Warning),
        ] {
            let found = secret("credentials-secret", "it", &read);
            assert_eq!(found.verdict, verdict, "{found:?}");
        }
    }
}
