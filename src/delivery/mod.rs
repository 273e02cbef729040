//! Getting an operation to Customer.io: encode, pace, send, and say what came of it.
//!
//! In: operations. Out: an outcome for each, as a value. No Kubernetes and no queue in here.
