//! Names, labels and owner references, the same for every object.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::ObjectMeta;

use super::super::validate::Validated;
use crate::adapter::pods::PIPELINE_LABEL;

/// Selects everything the operator manages.
pub const MANAGED_BY_SELECTOR: &str = "app.kubernetes.io/managed-by=cio-operator";

/// A label selector, as a query string, for everything of one pipeline.
pub fn pipeline_selector(name: &str) -> String {
    format!("{PIPELINE_LABEL}={name}")
}

/// Name, namespace, labels and owner.
pub(super) fn metadata(pipeline: &Validated) -> ObjectMeta {
    ObjectMeta {
        name: Some(pipeline.object_name()),
        namespace: (!pipeline.namespace.is_empty()).then(|| pipeline.namespace.clone()),
        labels: Some(labels(pipeline)),
        owner_references: pipeline.owner.clone().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The recommended labels, and ours.
pub(super) fn labels(pipeline: &Validated) -> BTreeMap<String, String> {
    let mut labels = selector_labels(pipeline);
    labels.insert(
        "app.kubernetes.io/component".to_owned(),
        "worker".to_owned(),
    );
    labels.insert(
        "app.kubernetes.io/managed-by".to_owned(),
        "cio-operator".to_owned(),
    );
    labels
}

/// What selects the pods: never changes in the life of a Deployment. The pipeline's own label makes
/// it unique in the namespace, or the HPA would refuse to act (`AmbiguousSelector`).
pub(super) fn selector_labels(pipeline: &Validated) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "cio-worker".to_owned()),
        (
            "app.kubernetes.io/instance".to_owned(),
            pipeline.name.clone(),
        ),
        (PIPELINE_LABEL.to_owned(), pipeline.name.clone()),
    ])
}

/// [`selector_labels`] as a selector.
pub(super) fn selector(pipeline: &Validated) -> LabelSelector {
    LabelSelector {
        match_labels: Some(selector_labels(pipeline)),
        ..LabelSelector::default()
    }
}
