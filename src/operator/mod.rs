//! The controller: a `CioPipeline` becomes a Deployment, an HPA and the rest.
//!
//! In: watch events. Out: objects by server-side apply, status, events. `reconcile` lists the six
//! steps, one file a step; what decides is pure, what talks to the API server is thin. It reads no
//! Redis (the queue's depth it hears from a sidecar), and no Secret but the one that it writes: the
//! adapter's certificate.

mod apply;
mod budget;
pub mod build;
mod caches;
mod certificate;
mod conditions;
mod controller;
mod delivery;
mod dereference;
mod error;
mod events;
mod lease;
mod limits;
pub mod metrics;
mod reconcile;
mod run;
mod scope;
mod settled;
mod standing;
mod status;
#[cfg(test)]
mod test_support;
mod told;
mod turns;
mod unchanged;
mod validate;

pub use certificate::{CertificateMetrics, Serving};
pub use lease::{Election, LeaseMetrics, Loss, STUCK};
pub use run::{OperatorError, Options, run};
pub use standing::{PipelineMetrics, Standing};
pub use validate::{Refusal, Settings, Validated, validate};

/// The field manager of everything the operator applies.
const FIELD_MANAGER: &str = "cio-operator";
