//! Checks of everything that a pipeline needs.

pub mod resolve;
