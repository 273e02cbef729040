//! A BullMQ queue as the rest of the program sees it: names, jobs ([`jobs`]), counts, connection, and
//! what a person on call does with it ([`oncall`]).
//!
//! In: a Redis address and a queue's name. Out: jobs and counts. It knows nothing of Customer.io,
//! it starts no work of its own, and it never shows the user or password of an address.

pub mod address;
pub mod bullmq_options;
pub mod condition;
pub mod connection;
pub mod counts;
mod error;
pub mod job;
pub mod jobs;
pub mod names;
pub mod oncall;
mod open;
mod sentinel;
pub mod source;

pub use error::QueueError;
