//! A `PodMonitor` for the Prometheus operator, which may or may not be there.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::json;

use super::super::validate::Validated;
use super::{SIDECAR, meta};

/// `monitoring.coreos.com/v1` `PodMonitor`.
pub fn pod_monitor_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        "monitoring.coreos.com",
        "v1",
        "PodMonitor",
    ))
}

pub(super) fn pod_monitor(pipeline: &Validated) -> DynamicObject {
    let object = DynamicObject::new(&pipeline.object_name(), &pod_monitor_resource()).data(json!({
        "spec": {
            "selector": {"matchLabels": meta::selector_labels(pipeline)},
            "podMetricsEndpoints": [{"port": SIDECAR}, {"port": "worker-metrics"}],
        }
    }));
    DynamicObject {
        metadata: meta::metadata(pipeline),
        ..object
    }
}
