//! What the operator says of itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::runtime::watcher;
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};
use tokio::time::Instant;

use super::controller::CONCURRENCY;
use crate::runtime::meters::{counters, gauge, histogram};

/// What a reconcile can come to: each is a series from the start, so that an increase from nothing
/// is seen.
const RESULTS: [&str; 10] = [
    "ok",
    "refused",
    "forbidden",
    "deleted",
    "invalid_resource",
    "read",
    "write",
    "await_collection",
    "timeout",
    "serialize",
];
/// What is watched; each is a series from the start too.
const WATCHES: [&str; 6] = [
    "ciopipelines",
    "deployments",
    "horizontalpodautoscalers",
    "poddisruptionbudgets",
    "pods",
    "serviceaccounts",
];
/// Upper bounds in seconds; after a minute a reconcile is given up.
const DURATIONS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];
/// Upper bounds in seconds.
const LATENESS: [f64; 8] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];
/// More pipelines than this are not remembered as due.
const MOST_DUE: usize = 16_384;

/// The operator's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconciles: IntCounterVec,
    duration: Histogram,
    in_flight: IntGauge,
    lateness: Histogram,
    watch_errors: IntCounterVec,
    /// When a pipeline's turn was planned, by uid.
    due: Arc<Mutex<HashMap<String, Instant>>>,
}

/// A watch whose interruptions are told of here, once each; the watch is retried with backoff.
#[derive(Debug)]
pub(super) struct Watched {
    what: &'static str,
    errors: IntCounter,
}

impl Watched {
    /// It is refused in one of several namespaces; the watch of the others goes on.
    pub(super) fn refused(&self, namespace: Option<&str>, error: &kube::Error) {
        self.errors.inc();
        tracing::warn!(
            watch = self.what,
            k8s.namespace = namespace,
            error = %error,
            "a namespace is deleted, or there is no right in it; it is tried on"
        );
    }

    pub(super) fn interrupted(&self, error: &watcher::Error) {
        self.errors.inc();
        tracing::warn!(watch = self.what, error = %error, "a watch was interrupted");
    }
}

/// A reconcile under way, until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When `registry` has one of the names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            reconciles: counters(
                registry,
                "cio_operator_reconciles_total",
                "Reconciles by result.",
                "result",
                &RESULTS,
            )?,
            duration: histogram(
                registry,
                "cio_operator_reconcile_duration_seconds",
                "How long a reconcile takes.",
                &DURATIONS,
            )?,
            in_flight: gauge(
                registry,
                "cio_operator_reconciles_in_flight",
                &format!(
                    "Reconciles under way, of at most {CONCURRENCY} per watched namespace, or over all \
                     where all are watched; while it stays there, pipelines wait for their turn."
                ),
            )?,
            watch_errors: counters(
                registry,
                "cio_operator_watch_errors_total",
                "Interruptions of a watch; each is retried, and what it told stands meanwhile.",
                "watch",
                &WATCHES,
            )?,
            lateness: histogram(
                registry,
                "cio_operator_reconcile_lateness_seconds",
                "How much later than planned a pipeline's turn came: the length of the queue, as time.",
                &LATENESS,
            )?,
            due: Arc::default(),
        })
    }

    /// A pipeline's turn has come.
    pub(super) fn begin(&self, uid: &str) -> InFlight {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        // An event may bring the turn before its time; then nothing waited.
        if let Some(late) = due
            .remove(uid)
            .and_then(|due| Instant::now().checked_duration_since(due))
        {
            self.lateness.observe(late.as_secs_f64());
        }
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// What to tell of the watch of a resource, by its plural.
    pub(super) fn watch(&self, what: &'static str) -> Watched {
        Watched {
            what,
            errors: self.watch_errors.with_label_values(&[what]),
        }
    }

    /// When a pipeline is looked at again, if it is without an event.
    pub(super) fn next(&self, uid: String, after: Option<Duration>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(after) = after.filter(|_| due.len() < MOST_DUE) {
            due.insert(uid, Instant::now() + after);
        }
    }

    #[cfg(test)]
    pub(super) fn due(&self, uid: &str) -> Option<Duration> {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        Some(*due.get(uid)? - Instant::now())
    }

    /// Counts one reconcile; `result` is `ok`, `refused`, `forbidden`, `deleted` or an error's category.
    pub(super) fn reconciled(&self, result: &'static str, took: Duration) {
        self.reconciles.with_label_values(&[result]).inc();
        self.duration.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESYNC: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_came_late_is_measured_and_one_before_its_time_is_not() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        metrics.next("a".to_owned(), Some(RESYNC));
        tokio::time::advance(RESYNC / 2).await;
        drop(metrics.begin("a"));
        assert_eq!(metrics.lateness.get_sample_count(), 0);
        metrics.next("a".to_owned(), Some(RESYNC));
        tokio::time::advance(RESYNC + Duration::from_secs(3)).await;
        drop(metrics.begin("a"));
        assert_eq!(metrics.lateness.get_sample_count(), 1);
        assert!((metrics.lateness.get_sample_sum() - 3.0).abs() < 1e-6);
        drop(metrics.begin("a"));
        assert_eq!(
            metrics.lateness.get_sample_count(),
            1,
            "nothing was planned"
        );
    }

    #[test]
    fn a_reconcile_is_in_flight_until_it_ends() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let (one, other) = (metrics.begin("a"), metrics.begin("b"));
        assert_eq!(metrics.in_flight.get(), 2);
        drop((one, other));
        assert_eq!(metrics.in_flight.get(), 0);
    }

    #[test]
    fn an_interrupted_watch_is_counted_by_what_it_watches() {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let pods = metrics.watch("pods");
        pods.interrupted(&watcher::Error::NoResourceVersion);
        let count = |watch| metrics.watch_errors.with_label_values(&[watch]).get();
        assert_eq!(WATCHES.map(count).iter().sum::<u64>(), 1);
        assert_eq!(count("pods"), 1);
    }
}
