//! The pods' identity: one of their own, without rights and without a token.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::super::validate::Validated;
use super::meta;

/// Without pull secrets, which the pod template has: of a list here, to which others add (a cluster that
/// gives each account one of its own), it would be fought over for ever.
pub(super) fn service_account(pipeline: &Validated) -> ServiceAccount {
    ServiceAccount {
        metadata: meta::metadata(pipeline),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}
