//! Facts → findings. Nothing in here does IO.

pub(super) mod clock;
pub(super) mod cluster;
pub(super) mod customerio;
pub(super) mod limit;
pub(super) mod metrics_api;
pub(super) mod pipeline;
pub(super) mod redis;
