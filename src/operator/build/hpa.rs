//! The HPA: rows H1 to H4 of the guide, from the spec's numbers, and nothing else.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, ExternalMetricSource, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget, PodsMetricSource,
    ResourceMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::super::validate::Validated;
use super::{QUEUE_DEPTH_METRIC, meta};
use crate::api::MetricSource;

pub(super) fn hpa(pipeline: &Validated) -> HorizontalPodAutoscaler {
    let autoscaling = &pipeline.spec.autoscaling;
    HorizontalPodAutoscaler {
        metadata: meta::metadata(pipeline),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: pipeline.object_name(),
            },
            min_replicas: Some(autoscaling.min_replicas),
            max_replicas: autoscaling.max_replicas,
            metrics: Some(vec![
                cpu(autoscaling.cpu_utilization),
                queue_depth(pipeline),
            ]),
            behavior: Some(autoscaling.behavior.clone()),
        }),
        ..HorizontalPodAutoscaler::default()
    }
}

fn cpu(percent: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(percent),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

fn queue_depth(pipeline: &Validated) -> MetricSpec {
    let target = MetricTarget {
        type_: "AverageValue".to_owned(),
        average_value: Some(Quantity(pipeline.spec.autoscaling.queue_depth.to_string())),
        ..MetricTarget::default()
    };
    let name = QUEUE_DEPTH_METRIC.to_owned();
    match pipeline.spec.autoscaling.metric_source {
        MetricSource::Pods => MetricSpec {
            type_: "Pods".to_owned(),
            pods: Some(PodsMetricSource {
                metric: MetricIdentifier {
                    name,
                    selector: None,
                },
                target,
            }),
            ..MetricSpec::default()
        },
        MetricSource::External => MetricSpec {
            type_: "External".to_owned(),
            external: Some(ExternalMetricSource {
                metric: MetricIdentifier {
                    name,
                    selector: Some(external_selector(pipeline)),
                },
                target,
            }),
            ..MetricSpec::default()
        },
    }
}

/// The external metric belongs to a namespace, and in it to one pipeline.
fn external_selector(
    pipeline: &Validated,
) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
    k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
        match_labels: Some([("pipeline".to_owned(), pipeline.name.clone())].into()),
        match_expressions: None,
    }
}
