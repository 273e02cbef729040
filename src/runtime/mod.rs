//! What every process needs and no other room should have to think about: logs, the HTTP server
//! and client, the cluster's client, metrics, shutdown, the clock, how a number is written.
//!
//! In: settings as plain values. Out: handles. It must not know of queues, Kubernetes objects or
//! Customer.io, and it uses no other room.

pub mod admin;
pub mod backoff;
pub mod clock;
pub mod cluster;
pub mod digits;
pub mod http_client;
pub mod http_connections;
pub mod http_server;
pub mod logs;
pub mod meters;
pub mod pulse;
pub mod run_script;
pub mod shutdown;
pub mod tls;
pub mod traces;
