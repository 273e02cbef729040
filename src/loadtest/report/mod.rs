//! What is left of a run to look at: one document of its numbers, as JSON and as a page, and what got
//! worse since an earlier one.
//!
//! In: the run's numbers. Out: text. It reads and writes no file, and a key never gets here.

mod baseline;
mod bins;
mod build;
mod compare;
mod curves;
mod document;
mod html;
mod numbers;
#[cfg(test)]
mod sample;

pub use baseline::{BaselineError, read_baseline};
pub use build::{Facts, build, clean_up};
pub use compare::{Comparison, Difference, Judgement, compare};
pub use document::{
    Adapted, CleanUp, Latencies, Load, Measured, Outcome, Report, Stage, Threshold, Totals, Trend,
    VERSION, Verdict, Way, Workspace,
};
pub use html::page;
