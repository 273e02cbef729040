//! The aggregated API server behind `custom.metrics.k8s.io` and, where it is asked to,
//! `external.metrics.k8s.io`: the HPA asks, sidecars know.
//!
//! In: API requests from the HPA controller; depths from sidecars. Out: metric value lists. It has
//! no Redis credentials, guesses nothing, and answers "no items" where it does not know.
//!
//! A request's way: [`server`] → `request` (what is asked) → [`auth`] (who asks, and may they) →
//! `answer` ([`pods`], `readings`, [`hold`], `share`) → `documents`.

mod answer;
pub mod auth;
mod cache;
mod documents;
mod expiry;
mod follow;
pub mod gate;
mod groups;
pub mod handshake;
pub mod hold;
pub mod limit;
pub mod metrics;
pub mod ownership;
pub(crate) mod page;
pub mod pod_client;
pub mod pods;
pub mod reading;
mod readings;
mod refusal;
mod request;
mod run;
mod selector;
pub mod server;
mod share;
mod silent;

pub use groups::{MetricsApi, Served};
pub use run::{AdapterError, Listeners, Options, run};
