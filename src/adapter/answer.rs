//! A question → the items of its answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use super::hold::Holds;
use super::pods::pod::WorkerPod;
use super::pods::{POD_TEMPLATE_LABEL, PodStore, in_turn};
use super::reading::Reading;
use super::readings::Readings;
use super::refusal::Refusal;
use super::request::{ExternalMetric, PodMetric, Target};
use super::selector::Selector;
use super::share::{Item, Total, share, total};

/// What answers are made from.
#[derive(Debug)]
pub(super) struct Sources<'a> {
    pub(super) pods: &'a PodStore,
    pub(super) readings: &'a Readings,
    pub(super) holds: &'a Holds,
}

/// One item for every Running pod asked for whose pipeline's depth is known; no others.
///
/// # Errors
/// When one pod is asked for by name, and is none of ours.
pub(super) async fn pod_metric(
    sources: &Sources<'_>,
    asked: &PodMetric,
) -> Result<Vec<Item>, Refusal> {
    let mut pipelines = sources.pods.select(&asked.namespace, &asked.target);
    if let (Target::Named(name), true) = (&asked.target, pipelines.is_empty()) {
        let namespace = &asked.namespace;
        return Err(Refusal::NotFound(format!(
            "pod {namespace}/{name} is no worker pod of a CioPipeline"
        )));
    }
    pipelines.retain(|pipeline, _| asked.metric.matches(&metric_labels(pipeline)));
    let items = pipelines
        .iter()
        .map(|(pipeline, pods)| of_pipeline(sources, asked, pipeline, pods));
    Ok(join_all(items).await.into_iter().flatten().collect())
}

/// The labels that `metricLabelSelector` can select by.
fn metric_labels(pipeline: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("pipeline".to_owned(), pipeline.to_owned())])
}

/// One value for every pipeline asked for whose depth is known, but none that would move the pods
/// where they are to stay; no others.
pub(super) async fn external_metric(sources: &Sources<'_>, asked: &ExternalMetric) -> Vec<Total> {
    let everywhere = Target::Selected(Selector::default());
    let mut pipelines = sources.pods.select(&asked.namespace, &everywhere);
    pipelines.retain(|pipeline, _| asked.metric.matches(&metric_labels(pipeline)));
    let totals = pipelines.iter().map(async |(pipeline, pods)| {
        let known = known(sources, &asked.namespace, pipeline, pods).await?;
        let replicas = Replicas::of(pods);
        if known.most.is_some() && replicas.are_replaced {
            return None;
        }
        Some(Total {
            pipeline: pipeline.clone(),
            timestamp: known.reading.read_at,
            value: total(known.reading.depth, replicas.count, known.most),
        })
    });
    join_all(totals).await.into_iter().flatten().collect()
}

/// The pods that the HPA divides a total by: also those that do not run yet. With fewer, a total that
/// is held would ask for the others to be removed.
struct Replicas {
    count: usize,
    /// Pods of a new template are beside the old ones. The HPA takes all for what was asked for, so
    /// that no total leaves the number as it is: at the target it would ask for those that are beside
    /// the others too, which brings more of them; below it some would go. Without a value it asks for
    /// no change.
    are_replaced: bool,
}

impl Replicas {
    fn of(pods: &[Arc<WorkerPod>]) -> Self {
        let replicas = || pods.iter().filter(|pod| pod.is_replica);
        let templates = || replicas().map(|pod| pod.labels.get(POD_TEMPLATE_LABEL));
        Self {
            count: replicas().count(),
            are_replaced: templates().any(|template| Some(template) != templates().next()),
        }
    }
}

async fn of_pipeline(
    sources: &Sources<'_>,
    asked: &PodMetric,
    pipeline: &str,
    pods: &[Arc<WorkerPod>],
) -> Vec<Item> {
    let Some(known) = known(sources, &asked.namespace, pipeline, pods).await else {
        return Vec::new();
    };
    let Known {
        reading,
        counted,
        most,
    } = known;
    let Some(value) = share(reading.depth, counted.len(), most) else {
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

/// What is known of a pipeline's queue.
struct Known<'a> {
    reading: Reading,
    /// The pods that the HPA counts.
    counted: Vec<&'a WorkerPod>,
    /// Jobs that a pod may have, where no further pod could do anything.
    most: Option<u64>,
}

async fn known<'a>(
    sources: &Sources<'_>,
    namespace: &str,
    pipeline: &str,
    pods: &'a [Arc<WorkerPod>],
) -> Option<Known<'a>> {
    let counted: Vec<&WorkerPod> = pods
        .iter()
        .map(Arc::as_ref)
        .filter(|pod| pod.counts)
        .collect();
    if counted.is_empty() {
        return None;
    }
    let key = (namespace.to_owned(), pipeline.to_owned());
    let sidecars = in_turn(pods.iter().filter_map(|pod| pod.sidecar));
    let most = sources.holds.target(&key);
    let reading = sources.readings.get(key, &sidecars).await.ok()?;
    // Pods that could do nothing are not added: at its target the HPA leaves things as they are.
    let saturated = reading.limit.is_some_and(|limit| limit.is_saturated());
    Some(Known {
        most: most.filter(|_| saturated),
        reading,
        counted,
    })
}
