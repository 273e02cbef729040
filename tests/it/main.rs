//! Integration tests: real parts, one binary.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper may fail its test; clippy.toml's leave covers only the test functions"
)]

mod metrics;
mod queue;
mod support;
