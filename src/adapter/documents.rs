//! What is answered: discovery documents and metric value lists. Pure.
//!
//! Shapes: `k8s.io/metrics` (`pkg/apis/custom_metrics`, `pkg/apis/external_metrics`), `k8s.io/apimachinery` (meta/v1). A caller
//! that asks for aggregated discovery gets these plain documents too: kube-apiserver falls back
//! to them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::groups::{Group, METRIC, Served};
use super::request::CustomVersion;
use super::share::{Item, Total};

/// `/apis`.
pub(super) fn group_list(served: &Served) -> Value {
    let groups: Vec<Value> = served.groups().map(group_entry).collect();
    json!({
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": groups,
    })
}

/// `/apis/GROUP`.
pub(super) fn group(group: &Group) -> Value {
    let mut document = group_entry(group);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    document
}

fn group_entry(group: &Group) -> Value {
    let entry = |version: &&str| json!({ "groupVersion": format!("{}/{version}", group.name), "version": version });
    let versions: Vec<Value> = group.versions.iter().map(entry).collect();
    json!({ "name": group.name, "preferredVersion": versions.first(), "versions": versions })
}

/// `/apis/GROUP/VERSION`.
pub(super) fn resource_list(group: &Group, version: &str) -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": format!("{}/{version}", group.name),
        "resources": [{
            "name": group.resource,
            "singularName": "",
            "namespaced": true,
            "kind": group.kind,
            "verbs": ["get"],
        }],
    })
}

/// The values of a metric of pods. No items means "not known", which the HPA answers by keeping
/// its replicas.
pub(super) fn metric_value_list(version: CustomVersion, items: &[Item]) -> Value {
    let api_version = match version {
        CustomVersion::V1beta2 => "custom.metrics.k8s.io/v1beta2",
        CustomVersion::V1beta1 => "custom.metrics.k8s.io/v1beta1",
    };
    let items: Vec<Value> = items
        .iter()
        .map(|item| metric_value(version, item))
        .collect();
    json!({
        "kind": "MetricValueList",
        "apiVersion": api_version,
        "metadata": {},
        "items": items,
    })
}

fn metric_value(version: CustomVersion, item: &Item) -> Value {
    let mut value = json!({
        "describedObject": {
            "kind": "Pod",
            "namespace": item.namespace,
            "name": item.pod,
            "apiVersion": "v1",
        },
        "timestamp": seconds(item.timestamp),
        "value": item.value,
    });
    match version {
        CustomVersion::V1beta2 => value["metric"] = json!({ "name": METRIC, "selector": null }),
        CustomVersion::V1beta1 => {
            value["metricName"] = json!(METRIC);
            value["selector"] = json!(null);
        }
    }
    value
}

/// The values of an external metric: one for each pipeline whose depth is known.
pub(super) fn external_metric_value_list(totals: &[Total]) -> Value {
    let value = |total: &Total| {
        json!({
            "metricName": METRIC,
            "metricLabels": { "pipeline": total.pipeline },
            "timestamp": seconds(total.timestamp),
            "value": total.value,
        })
    };
    let items: Vec<Value> = totals.iter().map(value).collect();
    json!({
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": items,
    })
}

/// Kubernetes' time stamps are whole seconds.
fn seconds(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::groups::{CUSTOM_METRICS, MetricsApi};

    #[test]
    fn discovery_names_the_group_its_versions_and_its_resource() {
        let entry = json!({
            "name": "custom.metrics.k8s.io",
            "versions": [
                {"groupVersion": "custom.metrics.k8s.io/v1beta2", "version": "v1beta2"},
                {"groupVersion": "custom.metrics.k8s.io/v1beta1", "version": "v1beta1"},
            ],
            "preferredVersion":
                {"groupVersion": "custom.metrics.k8s.io/v1beta2", "version": "v1beta2"},
        });
        let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [entry]});
        assert_eq!(group_list(&Served::new(&[MetricsApi::Custom])), list);
        let mut alone = entry;
        alone["kind"] = json!("APIGroup");
        alone["apiVersion"] = json!("v1");
        assert_eq!(group(&CUSTOM_METRICS), alone);
        let resources = json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": "custom.metrics.k8s.io/v1beta1",
            "resources": [{
                "name": "pods/cio_queue_depth",
                "singularName": "",
                "namespaced": true,
                "kind": "MetricValueList",
                "verbs": ["get"],
            }],
        });
        assert_eq!(resource_list(&CUSTOM_METRICS, "v1beta1"), resources);
    }

    #[test]
    fn values_have_the_form_of_their_version() {
        let items = [Item {
            namespace: "shop".to_owned(),
            pod: "events-worker-1".to_owned(),
            timestamp: "2026-11-24T10:00:00.987Z".parse().unwrap(),
            value: "333333m".to_owned(),
        }];
        let pod = json!({
            "kind": "Pod", "namespace": "shop", "name": "events-worker-1", "apiVersion": "v1",
        });
        let current = json!({
            "kind": "MetricValueList",
            "apiVersion": "custom.metrics.k8s.io/v1beta2",
            "metadata": {},
            "items": [{
                "describedObject": pod,
                "metric": {"name": "cio_queue_depth", "selector": null},
                "timestamp": "2026-11-24T10:00:00Z",
                "value": "333333m",
            }],
        });
        assert_eq!(metric_value_list(CustomVersion::V1beta2, &items), current);
        let older = json!({
            "kind": "MetricValueList",
            "apiVersion": "custom.metrics.k8s.io/v1beta1",
            "metadata": {},
            "items": [{
                "describedObject": pod,
                "metricName": "cio_queue_depth",
                "selector": null,
                "timestamp": "2026-11-24T10:00:00Z",
                "value": "333333m",
            }],
        });
        assert_eq!(metric_value_list(CustomVersion::V1beta1, &items), older);
    }

    #[test]
    fn an_external_value_is_named_by_its_pipeline() {
        let totals = [Total {
            pipeline: "events".to_owned(),
            timestamp: "2026-11-24T10:00:00.987Z".parse().unwrap(),
            value: "2000".to_owned(),
        }];
        let expected = json!({
            "kind": "ExternalMetricValueList",
            "apiVersion": "external.metrics.k8s.io/v1beta1",
            "metadata": {},
            "items": [{
                "metricName": "cio_queue_depth",
                "metricLabels": {"pipeline": "events"},
                "timestamp": "2026-11-24T10:00:00Z",
                "value": "2000",
            }],
        });
        assert_eq!(external_metric_value_list(&totals), expected);
    }

    #[test]
    fn not_known_is_an_empty_list_and_not_null() {
        let document = metric_value_list(CustomVersion::V1beta2, &[]);
        assert_eq!(document["items"], json!([]));
    }
}
