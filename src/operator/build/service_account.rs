//! The pods' identity: one of their own, without rights and without a token.

use k8s_openapi::api::core::v1::{LocalObjectReference, ServiceAccount};

use super::super::validate::Validated;
use super::meta;

pub(super) fn service_account(pipeline: &Validated) -> ServiceAccount {
    let pull_secrets: Vec<LocalObjectReference> =
        pipeline.spec.worker.template.image_pull_secrets.clone();
    ServiceAccount {
        metadata: meta::metadata(pipeline),
        automount_service_account_token: Some(false),
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        ..ServiceAccount::default()
    }
}
