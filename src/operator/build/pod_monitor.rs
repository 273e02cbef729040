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
    // The dashboard and the alerts tell pipelines apart by this label. The sidecar has it on some of
    // its series, with the same value: its own stays, and no second one is made of it.
    let relabelings = json!([{
        "sourceLabels": ["__meta_kubernetes_pod_label_cio_dev_pipeline"],
        "targetLabel": "pipeline",
    }]);
    let object = DynamicObject::new(&pipeline.object_name(), &pod_monitor_resource()).data(json!({
        "spec": {
            "selector": {"matchLabels": meta::selector_labels(pipeline)},
            "podMetricsEndpoints": [
                {"port": SIDECAR, "honorLabels": true, "relabelings": relabelings},
                {"port": "worker-metrics", "relabelings": relabelings},
            ],
        }
    }));
    DynamicObject {
        metadata: meta::metadata(pipeline),
        ..object
    }
}
