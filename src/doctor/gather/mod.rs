//! Asking: thin shells, one for each place.

pub(super) mod cluster;
pub(super) mod customerio;
