//! A file of operations, delivered or put into a queue: each line once, whatever happens.
//!
//! In: a file of JSON lines or CSV. Out: how many operations succeeded and failed, and a file of
//! the failed ones. It keeps a bounded part of the file in memory, decides nothing that an answer
//! of Customer.io means, and prints nothing.
//!
//! In reading order: [`input`] (lines → operations) → [`check`] (all of them, before anything is
//! sent) → `ranges`, `state` (what is done, on disk) → `feed` (a bounded look ahead) → `failed` (the
//! file of failed lines) → [`send`] (delivery, in `flight`) → [`enqueue`] (into a queue).

pub mod check;
pub mod enqueue;
mod error;
mod failed;
mod feed;
mod flight;
pub mod input;
mod ranges;
pub mod send;
mod state;

pub use error::SendError;

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Operations in the file.
    pub total: u64,
    /// Those that Customer.io, or the queue, has taken.
    pub succeeded: u64,
    /// Those that were given up.
    pub failed: u64,
}
