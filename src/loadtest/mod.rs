//! The load test: a profile in, a judged report out, and nothing left behind in the workspace.
//!
//! In: a profile, a workspace that is not production, thresholds. Out: a report and a verdict. It must
//! not touch production, retry a request of the test (the clean-up is retried), or hold an iteration
//! back because earlier ones are slow.

pub mod adapt;
pub mod app_api;
pub mod cleanup;
mod counts;
pub mod engine;
pub mod histogram;
pub mod iteration;
pub mod journal;
pub mod pace;
pub mod preflight;
pub mod profile;
pub mod queued;
pub mod recorder;
pub mod report;
pub mod run;
pub mod schedule;
pub mod series;
pub mod summary;
pub mod thresholds;
pub mod workspace;
