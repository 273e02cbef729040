//! The queue's numbers as Prometheus metrics, made at the moment somebody asks: a series that is
//! not known then is absent, which a gauge that is set now and then could not be.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::latest::{Latest, Names};
use super::limit::LimitUse;
use crate::queue::counts::{QueueCounts, depth};

/// The name that BullMQ's own exporter uses; see [`super::routes`] for its type.
pub(super) const JOB_COUNT: &str = "bullmq_job_count";

struct Definition {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
}

const PIPELINE: &[&str] = &["pipeline", "queue"];

const DEPTH: Definition = Definition {
    name: "cio_queue_depth",
    help: "Jobs of the whole queue that a worker has or could have: ready plus in flight.",
    kind: MetricType::GAUGE,
    labels: PIPELINE,
};
const PAUSED: Definition = Definition {
    name: "cio_queue_paused",
    help: "Whether the queue is paused: 1 or 0.",
    kind: MetricType::GAUGE,
    labels: PIPELINE,
};
const OLDEST: Definition = Definition {
    name: "cio_queue_oldest_job_age_seconds",
    help: "Time since the next job in line was enqueued; 0 while none is ready.",
    kind: MetricType::GAUGE,
    labels: PIPELINE,
};
const READ: Definition = Definition {
    name: "cio_queue_read_timestamp_seconds",
    help: "When the queue was last read, in seconds since the Unix epoch.",
    kind: MetricType::GAUGE,
    labels: PIPELINE,
};
const COUNT: Definition = Definition {
    name: JOB_COUNT,
    help: "Jobs of the queue by state.",
    kind: MetricType::GAUGE,
    labels: &["queue", "state"],
};
const COMPLETED: Definition = Definition {
    name: "bullmq_job_completed_total",
    help: "Jobs completed by workers that record metrics.",
    kind: MetricType::COUNTER,
    labels: &["queue"],
};
const FAILED: Definition = Definition {
    name: "bullmq_job_failed_total",
    help: "Jobs failed in workers that record metrics.",
    kind: MetricType::COUNTER,
    labels: &["queue"],
};

const LIMIT: Definition = Definition {
    name: "cio_limit_requests_per_second",
    help: "Requests a second that the whole workspace may send now, after answers 429.",
    kind: MetricType::GAUGE,
    labels: PIPELINE,
};
const USED: Definition = Definition {
    name: "cio_limit_used_ratio",
    help: "The part of the workspace's limit that was used in the last 2 to 10 seconds, 0 to 1.",
    kind: MetricType::GAUGE,
    labels: PIPELINE,
};
const CIRCUIT: Definition = Definition {
    name: "cio_limit_circuit_open",
    help: "Whether a worker of the queue sends nothing because Customer.io takes nothing: 1 or 0.",
    kind: MetricType::GAUGE,
    labels: PIPELINE,
};

const ALL: [&Definition; 10] = [
    &DEPTH, &PAUSED, &OLDEST, &READ, &COUNT, &COMPLETED, &FAILED, &LIMIT, &USED, &CIRCUIT,
];

/// Publishes what [`Latest`] knows.
pub(super) struct QueueCollector {
    names: Names,
    latest: Latest,
    descriptions: Vec<Desc>,
}

impl QueueCollector {
    pub(super) fn new(names: Names, latest: Latest) -> prometheus::Result<Self> {
        let descriptions = ALL
            .iter()
            .map(|it| it.describe())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            names,
            latest,
            descriptions,
        })
    }

    fn known(&self, counts: &QueueCounts) -> Vec<MetricFamily> {
        let Names { pipeline, queue } = &self.names;
        let pipeline = [pipeline.as_str(), queue];
        let queue = [queue.as_str()];
        vec![
            DEPTH.family([(&pipeline[..], float(depth(counts)))]),
            PAUSED.family([(&pipeline[..], f64::from(u8::from(counts.is_paused)))]),
            OLDEST.family([(&pipeline[..], oldest_age_seconds(counts))]),
            COMPLETED.family([(&queue[..], float(counts.completed_total))]),
            FAILED.family([(&queue[..], float(counts.failed_total))]),
            self.by_state(counts),
        ]
    }

    fn of_limit(&self, limit: LimitUse) -> Vec<MetricFamily> {
        let labels = [self.names.pipeline.as_str(), &self.names.queue];
        let gauge = |it: &Definition, value| it.family([(&labels[..], value)]);
        let mut families = vec![
            gauge(&LIMIT, limit.requests_per_second),
            gauge(&CIRCUIT, f64::from(u8::from(limit.circuit_open))),
        ];
        families.extend(limit.used_ratio.map(|used| gauge(&USED, used)));
        families
    }

    fn by_state(&self, counts: &QueueCounts) -> MetricFamily {
        let states = [
            ("active", counts.active),
            ("completed", counts.completed),
            ("delayed", counts.delayed),
            ("failed", counts.failed),
            ("paused", counts.paused),
            ("prioritized", counts.prioritized),
            ("waiting", counts.waiting),
            ("waiting-children", counts.waiting_children),
        ];
        let rows = states.map(|(state, count)| ([self.names.queue.as_str(), state], float(count)));
        COUNT.family(rows.iter().map(|(labels, value)| (&labels[..], *value)))
    }
}

impl Collector for QueueCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(reading) = self.latest.reading() else {
            return Vec::new();
        };
        let labels = [self.names.pipeline.as_str(), &self.names.queue];
        let mut families = vec![READ.family([(&labels[..], float(reading.at_ms) / 1e3)])];
        if let Some(reading) = self.latest.fresh() {
            families.extend(self.known(&reading.counts));
            families.extend(reading.limit.iter().flat_map(|limit| self.of_limit(*limit)));
        }
        families
    }
}

/// By Redis' clock against the producer's; clocks that differ do not make it negative.
fn oldest_age_seconds(counts: &QueueCounts) -> f64 {
    counts.oldest_waiting_timestamp_ms.map_or(0.0, |enqueued| {
        float(counts.redis_time_ms.saturating_sub(enqueued)) / 1e3
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus knows only floats; exact below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}

impl Definition {
    fn describe(&self) -> prometheus::Result<Desc> {
        let labels = self.labels.iter().map(|&label| label.to_owned()).collect();
        Desc::new(
            self.name.to_owned(),
            self.help.to_owned(),
            labels,
            HashMap::new(),
        )
    }

    /// The family with one sample for each row of label values, in the order of `labels`.
    fn family<'a>(&self, rows: impl IntoIterator<Item = (&'a [&'a str], f64)>) -> MetricFamily {
        let samples = rows
            .into_iter()
            .map(|(values, number)| self.sample(values, number));
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(samples.collect());
        family
    }

    fn sample(&self, values: &[&str], number: f64) -> Metric {
        let labels = self.labels.iter().zip(values).map(|(&name, &value)| {
            let mut label = LabelPair::default();
            label.set_name(name.to_owned());
            label.set_value(value.to_owned());
            label
        });
        let mut metric = Metric::from_label(labels.collect());
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(number);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(number);
            metric.set_gauge(gauge);
        }
        metric
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::{Registry, TextEncoder};

    use super::super::latest::tests::{known, names};
    use super::*;

    const COUNTS: QueueCounts = QueueCounts {
        redis_time_ms: 10_000,
        waiting: 1,
        paused: 2,
        prioritized: 3,
        delayed: 5,
        delayed_due: 4,
        active: 6,
        completed: 7,
        failed: 8,
        waiting_children: 9,
        is_paused: false,
        completed_total: 70,
        failed_total: 80,
        oldest_waiting_timestamp_ms: Some(7_500),
    };

    #[tokio::test]
    async fn everything_known_is_published() {
        insta::assert_snapshot!(text(known(COUNTS)));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_stale_reading_only_its_time_is_published() {
        let latest = known(COUNTS);
        tokio::time::advance(Duration::from_secs(31)).await;
        let text = text(latest);
        assert!(text.contains("cio_queue_read_timestamp_seconds{"), "{text}");
        assert_eq!(
            text.lines().filter(|line| !line.starts_with('#')).count(),
            1,
            "{text}"
        );
    }

    #[test]
    fn nothing_is_published_before_the_first_reading() {
        let (_sender, latest) = Latest::new(Duration::MAX);
        assert_eq!(text(latest), "");
    }

    #[test]
    fn the_age_of_the_oldest_job_is_never_negative() {
        for (enqueued, age) in [(None, 0.0), (Some(7_500), 2.5), (Some(12_000), 0.0)] {
            let counts = QueueCounts {
                oldest_waiting_timestamp_ms: enqueued,
                ..COUNTS
            };
            assert!(
                (oldest_age_seconds(&counts) - age).abs() < 1e-9,
                "{enqueued:?}"
            );
        }
    }

    fn text(latest: Latest) -> String {
        let registry = Registry::new();
        let collector = QueueCollector::new(names(), latest).unwrap();
        registry.register(Box::new(collector)).unwrap();
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    }
}
