//! Telling people: an event whenever `Ready` reads differently.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Resource, ResourceExt};

use crate::api::CioPipeline;

/// Publishes the change. An event is a courtesy: that it could not be sent is logged, no more.
pub(super) async fn publish(recorder: &Recorder, pipeline: &CioPipeline, ready: &Condition) {
    let kind = if ready.status == "False" {
        EventType::Warning
    } else {
        EventType::Normal
    };
    let event = Event {
        type_: kind,
        reason: ready.reason.clone(),
        note: Some(ready.message.clone()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &pipeline.object_ref(&())).await {
        tracing::warn!(
            k8s.namespace = pipeline.namespace(),
            k8s.name = pipeline.name_any(),
            error = %error,
            "failed to publish an event"
        );
    }
}
