//! The sidecar: one queue in Redis, read for Prometheus and for the adapter.
//!
//! In: the queue's counts. Out: `/metrics`, and a log line every 30 seconds. It tells the truth
//! about the whole queue; dividing by pods is the adapter's business. It changes nothing in Redis.
