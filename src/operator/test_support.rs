//! Fixtures: a minimal manifest and the pipeline that it means.

use super::validate::{Settings, Validated, validate};
use crate::api::{self, CioPipeline};

pub(super) const MINIMAL: &str = "
apiVersion: cio.dev/v1alpha1
kind: CioPipeline
metadata: {name: events, namespace: shop, uid: 0a1b, generation: 1}
spec:
  queue: {redis: {url: 'redis://redis:6379'}}
";

pub(super) fn settings() -> Settings {
    Settings {
        image: "cio-operator:test".to_owned(),
        image_pull_policy: String::new(),
    }
}

/// The minimal pipeline with `more` appended to its spec (two spaces of indentation).
pub(super) fn pipeline(more: &str) -> CioPipeline {
    api::parse(&format!("{MINIMAL}{more}")).expect("the fixture is a valid manifest")
}

pub(super) fn validated(more: &str) -> Validated {
    validate(&pipeline(more), &settings()).expect("the fixture is a valid pipeline")
}
