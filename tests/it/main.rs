//! Integration tests: one binary, because linking a second one costs more than any test in it.
//!
//! What needs a cluster is in `e2e` and marked `#[ignore]`: `make test-e2e` brings one up and runs it.

mod e2e;
mod generated;
mod metrics;
mod queue;
mod render;
mod rooms;
mod support;
