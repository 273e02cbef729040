//! `cio`: an operator for high-volume Customer.io integrations, with its own data plane.
//!
//! The rooms, in reading order. Data flows downwards only: a room may use the rooms below it and
//! never one above; `tests/it/rooms.rs` reads the `use` lines and holds it that way.
//!
//! | room | its one job |
//! |---|---|
//! | [`cli`] | arguments → settings → one call into a room; printing |
//! | [`doctor`] | what is wrong with a pipeline or its surroundings, and the command that mends it |
//! | [`operator`] | `CioPipeline` → Deployment, HPA and the rest, in six steps |
//! | [`adapter`] | the API server behind `custom.metrics.k8s.io` |
//! | [`metrics`] | the sidecar: one queue's metrics for Prometheus and for the adapter |
//! | [`sender`] | a file of operations, delivered or put into a queue, each line once |
//! | [`worker`] | the loop: queue → delivery → outcome → queue |
//! | [`loadtest`] | a load profile → a judged report, and nothing left behind |
//! | [`simulator`] | a Customer.io workspace look-alike, with faults on demand |
//! | [`plan`] | a volume → tier, capacity, manifest, and what the HPA will do |
//! | [`delivery`] | operation → request → outcome, under one limit for the whole workspace |
//! | [`queue`] | a BullMQ queue: names, jobs, counts, connection |
//! | [`api`] | the `CioPipeline` type, its defaults and its rules |
//! | [`runtime`] | logs, HTTP server, HTTP client, shutdown, clock |

// `cli::stdout` is the one writer: a reader that has gone must not be a panic.
#![warn(clippy::print_stdout)]

pub mod adapter;
pub mod api;
pub mod cli;
pub mod delivery;
pub mod doctor;
pub mod loadtest;
pub mod metrics;
pub mod operator;
pub mod plan;
pub mod queue;
pub mod runtime;
pub mod sender;
pub mod simulator;
pub mod worker;
