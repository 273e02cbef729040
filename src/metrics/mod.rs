//! The sidecar: one queue in Redis, read for Prometheus and for the adapter.
//!
//! In: the queue's counts, and how much of the workspace's limit is used. Out: `/metrics`, and a log
//! line every 30 seconds. It tells the truth about the whole queue; dividing by pods is the adapter's
//! business. It changes nothing in Redis. What it does not know it leaves out: unknown is never 0.

mod collector;
mod latest;
mod limit;
mod poller;
mod routes;
mod sidecar;

pub use limit::LimitSource;
pub use sidecar::{MetricsError, Sidecar, Timing};
