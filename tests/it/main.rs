//! Integration tests: real parts, one binary.

mod limit;
mod metrics;
mod queue;
mod support;
mod worker;
