//! What the circuit shows: whether it is open, why, since when, and when Customer.io last answered.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Gauge, IntGaugeVec, Opts, Registry};

use crate::runtime::clock::Clock;
use crate::runtime::meters::register;

/// The classes of reasons that open a circuit, as `outcome` names them. Each is a series from the
/// start, so that a query finds a 0 and not nothing.
const CLASSES: [&str; 7] = [
    "unauthorized",
    "redirected",
    "unexpected",
    "unavailable",
    "timeout",
    "transport",
    OTHER,
];
/// Any other.
const OTHER: &str = "other";

/// What the circuit shows, cheap to clone. The operator reads it too, from every worker of a
/// pipeline: one that failed last before another worker was answered says little of now.
#[derive(Debug, Clone)]
pub struct CircuitMetrics {
    open: IntGaugeVec,
    opened_at: Gauge,
    failed_at: Gauge,
    answered_at: Gauge,
    clock: Clock,
    /// The class that is shown as open.
    shown: Arc<Mutex<Option<&'static str>>>,
}

impl CircuitMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is taken in `registry`.
    pub fn new(registry: &Registry, clock: Clock) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "cio_delivery_circuit_open",
            "1 while no jobs are taken because Customer.io takes none, by the reason; else 0",
        );
        let open = register(registry, IntGaugeVec::new(opts, &["class"])?)?;
        for class in CLASSES {
            open.with_label_values(&[class]).set(0);
        }
        Ok(Self {
            open,
            opened_at: register(
                registry,
                Gauge::new(
                    "cio_delivery_circuit_opened_timestamp_seconds",
                    "Since when no jobs are taken, in seconds since the epoch; 0 while they are",
                )?,
            )?,
            failed_at: register(
                registry,
                Gauge::new(
                    "cio_delivery_circuit_failed_timestamp_seconds",
                    "When a request last showed that nothing can be delivered, in seconds since the \
                     epoch; 0 while jobs are taken",
                )?,
            )?,
            answered_at: register(
                registry,
                Gauge::new(
                    "cio_delivery_answered_timestamp_seconds",
                    "When Customer.io last answered as it should, in seconds since the epoch; 0 \
                     before it has",
                )?,
            )?,
            clock,
            shown: Arc::default(),
        })
    }

    /// It is open, or still is, for a reason of this class.
    pub(in crate::delivery) fn opened(&self, class: &str) {
        let known = CLASSES.iter().find(|known| **known == class);
        let class = known.copied().unwrap_or(OTHER);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        match shown.replace(class) {
            None => self.opened_at.set(self.seconds()),
            Some(before) => self.open.with_label_values(&[before]).set(0),
        }
        self.failed_at.set(self.seconds());
        self.open.with_label_values(&[class]).set(1);
    }

    /// It is closed.
    pub(in crate::delivery) fn closed(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = shown.take() {
            self.open.with_label_values(&[before]).set(0);
            self.opened_at.set(0.0);
            self.failed_at.set(0.0);
        }
    }

    /// Customer.io has answered as it should.
    pub(in crate::delivery) fn answered(&self) {
        self.answered_at.set(self.seconds());
    }

    fn seconds(&self) -> f64 {
        self.clock.now().as_duration().as_secs_f64()
    }

    #[cfg(test)]
    pub(in crate::delivery) fn is_open(&self, class: &str) -> bool {
        self.open.with_label_values(&[class]).get() == 1
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn one_class_is_open_at_a_time_and_the_time_is_that_of_the_first() {
        let at = Timestamp::from_second(1_764_000_000).unwrap();
        let metrics = CircuitMetrics::new(&Registry::new(), Clock::fixed(at)).unwrap();
        let open = || CLASSES.map(|class| metrics.is_open(class));
        assert_eq!(open(), [false; CLASSES.len()]);
        metrics.opened("unavailable");
        metrics.opened_at.set(7.0);
        metrics.opened("unauthorized");
        assert_eq!(open(), CLASSES.map(|class| class == "unauthorized"));
        assert!((metrics.opened_at.get() - 7.0).abs() < 0.1);
        assert!((metrics.failed_at.get() - 1_764_000_000.0).abs() < 0.1);
        metrics.opened("a word that is new");
        assert_eq!(open(), CLASSES.map(|class| class == OTHER));
        metrics.closed();
        metrics.answered();
        assert_eq!(open(), [false; CLASSES.len()]);
        assert!(metrics.opened_at.get().abs() < 0.1 && metrics.failed_at.get().abs() < 0.1);
        assert!((metrics.answered_at.get() - 1_764_000_000.0).abs() < 0.1);
    }
}
