//! A Customer.io workspace look-alike for tests, demos and staging.
//!
//! In: Track API requests. Out: the real API's answers, faults on demand, and a state to look at.
//! It is a peer of the real API: it shares no code with the rooms it tests, only `runtime`.
//! A request goes through `routes`: recognised (`path`), recorded (`traffic`), perhaps spoiled
//! (`faults`), let in (`access`), read and checked (`v1`, `v2`, `validation`: pure, without a lock),
//! stored (`store`, `people`), answered (`replies`). `control` and `page` show what came of it.

mod access;
mod app_api;
mod control;
mod faults;
mod identity;
mod ids;
mod metrics;
mod operation;
mod page;
mod path;
mod people;
mod relationships;
mod replies;
mod routes;
mod store;
mod suppressed;
mod traffic;
mod v1;
mod v2;
mod validation;
mod workspace;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use prometheus::Registry;

pub use faults::{FaultError, Rule};

use crate::runtime::clock::Clock;

/// How the workspace behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Site id → API key; empty means that any credentials are accepted.
    pub credentials: BTreeMap<String, String>,
    /// The key of the App API; nothing: any that is not empty is accepted.
    pub app_api_key: Option<String>,
    /// Requests in any span of one second for each site id; more get 429.
    pub requests_per_second: Option<u32>,
    /// `Retry-After` of those 429, in seconds. The real API documents none.
    pub retry_after_seconds: Option<u64>,
    /// What is above that is answered with 200 and not stored, in place of the 429.
    pub drop_above_limit: bool,
    /// Every answer takes this long.
    pub latency: Duration,
    /// Faults in force from the start; `PUT /_sim/faults` replaces them.
    pub faults: Vec<Rule>,
    /// How many event ids are remembered to recognise duplicates; the oldest is forgotten first.
    pub keep_events: usize,
    /// What `GET /api/v1/accounts/region` answers: `us` or `eu`.
    pub region: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: BTreeMap::new(),
            app_api_key: None,
            requests_per_second: None,
            retry_after_seconds: None,
            drop_above_limit: false,
            latency: Duration::ZERO,
            faults: Vec::new(),
            keep_events: 1_000_000,
            region: "us".to_owned(),
        }
    }
}

/// Why there is no workspace.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The faults to start with cannot be.
    #[error(transparent)]
    SetFaults(#[from] FaultError),
    /// The registry has metrics of these names already.
    #[error("failed to register metrics: {0}")]
    RegisterMetrics(#[from] prometheus::Error),
}

/// The workspace as a router: the Track API, a call of the App API, `/_sim/…` and the page at `/`. `clock` dates what comes
/// without a time of its own; the metrics go to `registry`.
pub fn router(
    options: Options,
    clock: Clock,
    registry: &Registry,
) -> Result<Router, SimulatorError> {
    let workspace = workspace::Workspace::new(options, clock, registry)?;
    Ok(routes::router(workspace))
}
