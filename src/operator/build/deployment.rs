//! The workers. `spec.replicas` is left out: whoever scales owns it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;

use super::super::validate::Validated;
use super::{WORKER, container, env, meta};

pub(super) fn deployment(pipeline: &Validated) -> Deployment {
    Deployment {
        metadata: meta::metadata(pipeline),
        spec: Some(DeploymentSpec {
            selector: meta::selector(pipeline),
            // A rollout under load never has fewer pods than the HPA asked for.
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::String("25%".to_owned())),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(pipeline)),
                spec: Some(pod_spec(pipeline)),
            },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod_metadata(pipeline: &Validated) -> ObjectMeta {
    let template = &pipeline.spec.worker.template;
    let mut labels = template.labels.clone();
    labels.extend(meta::labels(pipeline));
    let mut annotations = BTreeMap::from([(
        "kubectl.kubernetes.io/default-container".to_owned(),
        WORKER.to_owned(),
    )]);
    annotations.extend(template.annotations.clone());
    ObjectMeta {
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

fn pod_spec(pipeline: &Validated) -> PodSpec {
    let template = &pipeline.spec.worker.template;
    PodSpec {
        init_containers: Some(vec![container::sidecar(pipeline)]),
        containers: vec![container::worker(pipeline)],
        volumes: Some(container::volumes(pipeline)),
        service_account_name: Some(pipeline.object_name()),
        automount_service_account_token: Some(false),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(env::grace_period(pipeline)),
        node_selector: filled_map(&template.node_selector),
        tolerations: filled(&template.tolerations),
        affinity: template.affinity.clone(),
        topology_spread_constraints: Some(spread(pipeline)),
        priority_class_name: template.priority_class_name.clone(),
        image_pull_secrets: filled(&template.image_pull_secrets),
        ..PodSpec::default()
    }
}

/// The user's constraints, or else: over nodes, as evenly as is possible.
fn spread(pipeline: &Validated) -> Vec<TopologySpreadConstraint> {
    let given = &pipeline.spec.worker.template.topology_spread_constraints;
    if !given.is_empty() {
        return given.clone();
    }
    vec![TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "kubernetes.io/hostname".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(meta::selector(pipeline)),
        ..TopologySpreadConstraint::default()
    }]
}

fn filled<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn filled_map(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}
