//! The sidecar on a real Redis.
