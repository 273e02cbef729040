//! `Delivering`: does Customer.io take what the workers send?

use super::Finding;
use crate::api::pipeline::Workspace;
use crate::operator::delivery::{Delivery, Refused};

/// Why `Delivering` is False, and with it `Ready`: Customer.io does not know site id and key.
pub(in crate::operator) const CREDENTIALS_REFUSED: &str = "CredentialsRefused";
const UNAVAILABLE: &str = "CustomerIoUnavailable";
const UNEXPECTED: &str = "UnexpectedAnswers";
/// Why it is False for as long as Customer.io does not answer as it should.
pub(in crate::operator) const OUTAGES: [&str; 2] = [UNAVAILABLE, UNEXPECTED];
/// The condition's type.
pub(in crate::operator) const DELIVERING: &str = "Delivering";

/// `Delivering`: does Customer.io take what the workers send?
pub(super) fn delivering(delivery: &Delivery, workspace: &Workspace) -> Finding {
    let secret = &workspace.credentials_secret_ref;
    let (status, reason, message) = match delivery {
        Delivery::Unhindered => (
            "True",
            "NotRefused",
            "no worker is kept from delivering by Customer.io".to_owned(),
        ),
        Delivery::Refused(Refused::Credentials) => (
            "False",
            CREDENTIALS_REFUSED,
            format!(
                "Customer.io refuses the credentials: no jobs are taken, and none uses an attempt; \
                 check {} and {} in the Secret {}, and spec.workspace.region",
                secret.site_id_key, secret.api_key_key, secret.name
            ),
        ),
        Delivery::Refused(Refused::Region) => (
            "False",
            CREDENTIALS_REFUSED,
            format!(
                "Customer.io redirects to another region: no jobs are taken, and none uses an \
                 attempt; check spec.workspace.region, and {} in the Secret {}",
                secret.site_id_key, secret.name
            ),
        ),
        Delivery::Unavailable => (
            "False",
            UNAVAILABLE,
            "Customer.io does not answer as it should: no jobs are taken, and none uses an attempt; \
             it is tried now and then, and delivery goes on by itself"
                .to_owned(),
        ),
        Delivery::Unexpected => (
            "False",
            UNEXPECTED,
            "what answers does not know the Track API's calls: few jobs are taken, until it does; \
             check spec.workspace.endpoint, and proxies on the way there"
                .to_owned(),
        ),
        Delivery::NotAsked => (
            "Unknown",
            "NoWorkerToAsk",
            "no worker of cio's own image runs; another image does not tell".to_owned(),
        ),
        Delivery::NoAnswer => (
            "Unknown",
            "WorkerUnreachable",
            "no worker answered on its port worker-metrics; a NetworkPolicy may be in the way of \
             the operator"
                .to_owned(),
        ),
    };
    Finding::new(DELIVERING, status, reason, message)
}
