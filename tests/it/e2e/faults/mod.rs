//! One part of a pipeline fails: what its user sees, what goes on, and what ends it.

pub(super) mod certificate;
mod pods;
mod sentinel;
mod sidecar;
