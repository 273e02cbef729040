//! A Customer.io workspace look-alike for tests, demos and staging.
//!
//! In: Track API requests. Out: the real API's answers, faults on demand, and a state to look at.
//! It is a peer of the real API: it shares no code with the rooms it tests, only `runtime`.
