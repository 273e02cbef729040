//! Integration tests: one binary, because linking a second one costs more than any test in it.
//!
//! What needs a cluster is in `e2e` and ignored by default: `make test-e2e` brings one up and runs it.
//! So is what counts requests to the millisecond, which `make test-limit` runs alone, and what takes
//! a minute or the whole machine: `make test-soak`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why"
)]

mod adapter;
mod alerts;
mod argocd;
mod chart;
mod clients;
mod closed_pipe;
mod crd_reference;
mod doctor;
mod e2e;
mod full_redis;
mod generated;
mod interop;
mod limit;
mod loadtest;
mod loadtest_conduct;
mod loadtest_terminal;
mod memory;
mod metrics;
mod odd;
mod own_worker;
mod plan;
mod queue;
mod queue_command;
mod reference;
mod render;
mod report;
mod rooms;
mod send;
mod simulator;
mod soak;
mod support;
mod worker;
mod workers;
