//! End to end on a real Kubernetes: a real API server, HPA controller, Redis and BullMQ.
//!
//! Plain `cargo test` leaves these tests out, because they need a cluster:
//! `make test-e2e` brings one up, installs the chart and runs them. Each has a namespace of its own.

mod alone;
mod apiservices;
mod availability;
mod cert_manager;
mod certificates;
mod chart;
mod credentials;
mod doctor;
mod faults;
mod keda;
mod lifecycle;
mod limit;
mod lookup;
mod monitoring;
mod observability;
mod outages;
mod own_worker;
mod policies;
mod redis;
mod refusals;
mod saturation;
mod scaling;
mod security;
mod status;
mod support;
mod ways;
