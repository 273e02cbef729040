//! Getting an operation to Customer.io: encode, pace, send, and say what came of it.
//!
//! In: operations. Out: an outcome for each, as a value. No Kubernetes and no queue in here; the
//! one thing kept in Redis is the workspace's limit, and the connection for it is handed in.
//!
//! In reading order: [`operation`] (what a job asks for) → [`encode`] (its bytes, every documented
//! limit checked) → [`batch`] (what goes together, and when) → [`limiter`] (when it may go) →
//! [`client`] (the exchange) → [`outcome`] (what the answer means) → [`circuit`] (who is at fault, and
//! whether anything is sent at all). [`engine`] joins them.

pub mod batch;
pub mod circuit;
pub mod client;
pub mod credentials;
pub mod encode;
pub mod engine;
pub mod event_id;
pub mod limiter;
pub mod metrics;
pub mod operation;
pub mod outcome;
pub mod reason;
pub mod refusal;
mod requests;
mod retry;
pub mod site_id;
pub mod spans;
mod unix_time;

use std::str::FromStr;

/// How operations become requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Many in one request to `/api/v2/batch`.
    #[default]
    Batch,
    /// One request each, to the v1 endpoints.
    Single,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "batch" => Ok(Self::Batch),
            "single" => Ok(Self::Single),
            _ => Err("write batch or single".to_owned()),
        }
    }
}
