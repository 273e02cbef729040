//! One pod's worth of delivery: queue → delivery → outcome → queue.
//!
//! In: jobs from BullMQ. Out: each job completed, failed with a reason, or given back. What an
//! answer of Customer.io means is decided in `delivery`, not here.
