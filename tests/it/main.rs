//! Integration tests: one binary, because linking a second one costs more than any test in it.
//!
//! What needs a cluster is in `e2e` and ignored by default: `make test-e2e` brings one up and runs it.
//! So is what counts requests to the millisecond: `make test-limit` runs it alone.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why"
)]

mod adapter;
mod clients;
mod e2e;
mod generated;
mod interop;
mod limit;
mod loadtest;
mod metrics;
mod queue;
mod render;
mod rooms;
mod simulator;
mod support;
mod worker;
