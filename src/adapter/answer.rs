//! A question about pods → the items of its answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::join_all;

use super::pods::PodStore;
use super::pods::pod::WorkerPod;
use super::readings::Readings;
use super::refusal::Refusal;
use super::request::{PodMetric, Target};
use super::share::{Item, share};

/// One item for every Running pod asked for whose pipeline's depth is known; no others.
///
/// # Errors
/// When one pod is asked for by name, and is none of ours.
pub(super) async fn pod_metric(
    pods: &PodStore,
    readings: &Readings,
    asked: &PodMetric,
) -> Result<Vec<Item>, Refusal> {
    let mut pipelines = pods.select(&asked.namespace, &asked.target);
    if let (Target::Named(name), true) = (&asked.target, pipelines.is_empty()) {
        let namespace = &asked.namespace;
        return Err(Refusal::NotFound(format!(
            "pod {namespace}/{name} is no worker pod of a CioPipeline"
        )));
    }
    pipelines.retain(|pipeline, _| asked.metric.matches(&metric_labels(pipeline)));
    let items = pipelines
        .iter()
        .map(|(pipeline, pods)| of_pipeline(readings, asked, pipeline, pods));
    Ok(join_all(items).await.into_iter().flatten().collect())
}

/// The labels that `metricLabelSelector` can select by.
fn metric_labels(pipeline: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("pipeline".to_owned(), pipeline.to_owned())])
}

async fn of_pipeline(
    readings: &Readings,
    asked: &PodMetric,
    pipeline: &str,
    pods: &[Arc<WorkerPod>],
) -> Vec<Item> {
    let counted: Vec<_> = pods.iter().filter(|pod| pod.counts).collect();
    if counted.is_empty() {
        return Vec::new();
    }
    let key = (asked.namespace.clone(), pipeline.to_owned());
    let sidecars: Vec<SocketAddr> = pods.iter().filter_map(|pod| pod.sidecar).collect();
    let Ok(reading) = readings.get(key, &sidecars).await else {
        return Vec::new();
    };
    let Some(value) = share(reading.depth, counted.len()) else {
        return Vec::new();
    };
    counted
        .into_iter()
        .filter(|pod| match &asked.target {
            Target::Selected(_) => true,
            Target::Named(name) => pod.name == *name,
        })
        .map(|pod| Item {
            namespace: asked.namespace.clone(),
            pod: pod.name.clone(),
            timestamp: reading.read_at,
            value: value.clone(),
        })
        .collect()
}
