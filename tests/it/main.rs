//! Integration tests: real parts, one binary.

mod metrics;
mod queue;
mod support;
