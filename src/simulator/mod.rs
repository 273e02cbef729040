//! A Customer.io workspace look-alike for tests, demos and staging.
//!
//! In: Track API requests. Out: the real API's answers, faults on demand, and a state to look at.
//! It is a peer of the real API: it shares no code with the rooms it tests, only `runtime`.
//! A request goes through [`routes`]: recorded (`traffic`), perhaps spoiled (`faults`), let in
//! (`access`), checked (`validation`), stored (`store`), answered (`replies`).

mod access;
mod control;
mod faults;
mod ids;
mod operations;
mod page;
mod path;
mod replies;
mod routes;
mod store;
mod traffic;
mod validation;

use std::collections::BTreeMap;
use std::time::Duration;

pub use routes::router;

/// How the workspace behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Site id → API key; empty means that any credentials are accepted.
    pub credentials: BTreeMap<String, String>,
    /// Requests in any span of one second for each site id; more get 429.
    pub requests_per_second: Option<u32>,
    /// Every answer takes this long.
    pub latency: Duration,
    /// How many event ids are remembered to recognise duplicates; the oldest is forgotten first.
    pub keep_events: usize,
    /// What `GET /api/v1/accounts/region` answers: `us` or `eu`.
    pub region: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            credentials: BTreeMap::new(),
            requests_per_second: None,
            latency: Duration::ZERO,
            keep_events: 1_000_000,
            region: "us".to_owned(),
        }
    }
}
