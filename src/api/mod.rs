//! The `CioPipeline` resource: its type, its defaults and its rules.
//!
//! In: YAML or JSON. Out: a typed resource with every default filled in, and the CRD. The doc
//! comments here are the users' reference (`kubectl explain`). No IO, and no Kubernetes objects
//! but the types a user writes.

mod crd;
mod defaults;
mod manifest;
pub mod pipeline;
pub mod quantity;
mod status;
mod variables;
mod worker;

pub use crd::crd;
pub use manifest::{ManifestError, parse};
pub use pipeline::{
    CioPipeline, CioPipelineSpec, DeliveryMode, MetricSource, Region, WhenSaturated,
};
pub use status::CioPipelineStatus;
pub use variables::{TAKEN, TAKEN_MESSAGE, Variable};
pub use worker::{Amounts, PodTemplate, Resources, Sidecar, Worker};

/// The longest `metadata.name`: `<name>-worker` and a pod's suffix still fit into a label.
pub const NAME_MAX: usize = 50;
