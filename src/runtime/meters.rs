//! Making metrics and registering them, in one step each.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, Result,
};

/// Registers `collector`.
///
/// # Errors
/// When `registry` has its name already.
pub fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// A counter.
///
/// # Errors
/// As [`register`].
pub fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter> {
    register(registry, IntCounter::new(name, help)?)
}

/// A counter for each of the `known` values of `label`, which are series from the start, so that an
/// increase from nothing is seen.
///
/// # Errors
/// As [`register`].
pub fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    known: &[&str],
) -> Result<IntCounterVec> {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
    for value in known {
        counters.with_label_values(&[value]);
    }
    register(registry, counters)
}

/// A gauge of whole numbers.
///
/// # Errors
/// As [`register`].
pub fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge> {
    register(registry, IntGauge::new(name, help)?)
}

/// A histogram with these upper bounds.
///
/// # Errors
/// As [`register`].
pub fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram> {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, Histogram::with_opts(opts)?)
}
