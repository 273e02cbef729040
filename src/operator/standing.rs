//! How each pipeline stands, as metrics. In: the statuses that the watches told. Out: two samples a
//! pipeline, made at the moment somebody asks, so that nothing is kept of one that is gone.

use std::collections::HashMap;

use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::Store;
use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::lease::Leadership;
use crate::api::{CioPipeline, CioPipelineStatus};

const READY: &str = "cio_pipeline_ready";
const READY_HELP: &str = "1 while Ready is True in the pipeline's status, else 0; from the operator that leads, and of pipelines that \
     have a status.";
const STALLED: &str = "cio_pipeline_stalled";
const STALLED_HELP: &str = "1 while Stalled is True in the pipeline's status: nothing goes on until somebody acts. Else 0; \
     from the operator that leads, and of pipelines that have a status.";

/// What a pipeline's status comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where it is.
    pub namespace: String,
    /// Its name.
    pub pipeline: String,
    /// Whether `Ready` is True.
    pub ready: bool,
    /// Whether `Stalled` is True.
    pub stalled: bool,
}

/// Asks how the pipelines stand whenever the metrics are asked for.
#[derive(Debug)]
pub struct PipelineMetrics<F> {
    tell: F,
    descriptions: [Desc; 2],
}

impl<F> PipelineMetrics<F>
where
    F: Fn() -> Vec<Standing> + Send + Sync + 'static,
{
    /// Registers what `tell` tells.
    ///
    /// # Errors
    /// When `registry` has one of the names already.
    pub fn register(registry: &Registry, tell: F) -> prometheus::Result<()> {
        let describe = |name: &str, help: &str| {
            let labels = vec!["namespace".to_owned(), "pipeline".to_owned()];
            Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())
        };
        let descriptions = [
            describe(READY, READY_HELP)?,
            describe(STALLED, STALLED_HELP)?,
        ];
        registry.register(Box::new(Self { tell, descriptions }))
    }
}

impl<F> Collector for PipelineMetrics<F>
where
    F: Fn() -> Vec<Standing> + Send + Sync,
{
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let told = (self.tell)();
        if told.is_empty() {
            return Vec::new();
        }
        vec![
            family(READY, READY_HELP, &told, |it| it.ready),
            family(STALLED, STALLED_HELP, &told, |it| it.stalled),
        ]
    }
}

/// Registers how the pipelines in `stores` stand, told while `leadership` is ours.
///
/// # Errors
/// As [`PipelineMetrics::register`].
pub(super) fn register(
    registry: &Registry,
    stores: Vec<Store<DeserializeGuard<CioPipeline>>>,
    leadership: Leadership,
) -> prometheus::Result<()> {
    PipelineMetrics::register(registry, move || {
        if !leadership.holds() {
            return Vec::new();
        }
        // The objects themselves are shared, not copied.
        let pipelines = stores.iter().flat_map(Store::state);
        pipelines.filter_map(|guarded| standing(&guarded)).collect()
    })
}

/// Pure: none where nobody has looked at it yet, or where it is on its way out.
fn standing(guarded: &DeserializeGuard<CioPipeline>) -> Option<Standing> {
    let metadata = guarded.meta();
    if metadata.deletion_timestamp.is_some() {
        return None;
    }
    let (ready, stalled) = match &guarded.0 {
        Ok(pipeline) => {
            let status = pipeline.status.as_ref()?;
            (is_true(status, "Ready")?, is_true(status, "Stalled")?)
        }
        // Its status says so, and can be read as little.
        Err(_) => (false, true),
    };
    Some(Standing {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        pipeline: metadata.name.clone().unwrap_or_default(),
        ready,
        stalled,
    })
}

fn is_true(status: &CioPipelineStatus, kind: &str) -> Option<bool> {
    let mut conditions = status.conditions.iter();
    let condition = conditions.find(|condition| condition.type_ == kind)?;
    Some(condition.status == "True")
}

fn family(
    name: &str,
    help: &str,
    told: &[Standing],
    holds: impl Fn(&Standing) -> bool,
) -> MetricFamily {
    let samples = told.iter().map(|it| {
        let labels = vec![
            label("namespace", &it.namespace),
            label("pipeline", &it.pipeline),
        ];
        let mut gauge = Gauge::default();
        gauge.set_value(f64::from(u8::from(holds(it))));
        let mut metric = Metric::from_label(labels);
        metric.set_gauge(gauge);
        metric
    });
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(samples.collect());
    family
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use kube::core::error_boundary::InvalidObject;
    use kube::runtime::{reflector, watcher::Event};
    use prometheus::TextEncoder;

    use super::super::conditions::{Finding, stamp};
    use super::super::test_support::pipeline;
    use super::*;

    fn with(name: &str, ready: &'static str, stalled: &'static str) -> CioPipeline {
        let findings = vec![
            Finding::new("Ready", ready, "R", ""),
            Finding::new("Stalled", stalled, "S", ""),
        ];
        let mut pipeline = pipeline("");
        pipeline.metadata.name = Some(name.to_owned());
        pipeline.status = Some(CioPipelineStatus {
            conditions: stamp(findings, &[], Some(1), Timestamp::UNIX_EPOCH),
            ..CioPipelineStatus::default()
        });
        pipeline
    }

    #[test]
    fn each_pipeline_with_a_status_is_told_of_by_the_one_that_leads() {
        let (mut store, mut other) = (reflector::store().1, reflector::store().1);
        let mut new = pipeline("");
        new.metadata.name = Some("new".to_owned());
        // As the CRD's default leaves it.
        let mut unseen = with("unseen", "True", "False");
        unseen.status = Some(CioPipelineStatus {
            observed_generation: Some(-1),
            ..CioPipelineStatus::default()
        });
        let mut leaves = with("leaves", "True", "False");
        leaves.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let mut metadata = new.metadata.clone();
        metadata.name = Some("unreadable".to_owned());
        let error = "missing field".to_owned();
        let unreadable = DeserializeGuard(Err(InvalidObject { error, metadata }));
        for pipeline in [
            with("fine", "True", "False"),
            with("rolls", "Unknown", "False"),
            new,
            unseen,
            leaves,
        ] {
            store.apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(pipeline))));
        }
        other.apply_watcher_event(&Event::Apply(unreadable));
        let stuck = with("stuck", "False", "True");
        other.apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(stuck))));

        let registry = Registry::new();
        let stores = vec![store.as_reader(), other.as_reader()];
        register(&registry, stores, Leadership::always()).unwrap();
        let text = TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            ("ready", "fine", 1),
            ("ready", "rolls", 0),
            ("ready", "stuck", 0),
            ("ready", "unreadable", 0),
            ("stalled", "fine", 0),
            ("stalled", "rolls", 0),
            ("stalled", "stuck", 1),
            ("stalled", "unreadable", 1),
        ]
        .map(|(what, name, value)| {
            format!("cio_pipeline_{what}{{namespace=\"shop\",pipeline=\"{name}\"}} {value}")
        });
        assert_eq!(samples, expected);
    }

    #[test]
    fn one_that_stands_by_tells_nothing() {
        let mut store = reflector::store().1;
        let fine = with("fine", "True", "False");
        store.apply_watcher_event(&Event::Apply(DeserializeGuard(Ok(fine))));
        let registry = Registry::new();
        let stores = vec![store.as_reader()];
        register(&registry, stores, Leadership::never()).unwrap();
        assert!(registry.gather().is_empty());
    }
}
