//! The aggregated API server behind `custom.metrics.k8s.io`: the HPA asks, sidecars know.
//!
//! In: API requests from the HPA controller; depths from sidecars. Out: metric value lists. It has
//! no Redis credentials, guesses nothing, and answers "no items" where it does not know.

pub mod pods;
pub mod reading;
