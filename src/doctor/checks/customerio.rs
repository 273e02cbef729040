//! What `GET /api/v1/accounts/region` says of credentials and region. It writes nothing there.

use crate::delivery::client::Region;
use crate::doctor::check::Check;

const CREDENTIALS: &str = "customerio-credentials";
const REGION: &str = "customerio-region";

/// An answer of Customer.io.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::doctor) struct Facts {
    /// The region that is set.
    pub(in crate::doctor) set: Region,
    /// The answer's status.
    pub(in crate::doctor) status: u16,
    /// The region that the answer names.
    pub(in crate::doctor) named: Option<String>,
    /// The status of the other region's host, where it was asked too.
    pub(in crate::doctor) elsewhere: Option<u16>,
}

/// Nobody answers; `for_pods` where the address may mean something in the cluster only.
pub(in crate::doctor) fn unreachable(error: &str, for_pods: bool) -> Check {
    if for_pods {
        let finding = format!("spec.workspace.endpoint does not answer from here: {error}");
        return Check::warning(
            CREDENTIALS,
            finding,
            "its name may mean something in the cluster only",
        );
    }
    let remedy = "check the way out (proxy, firewall, DNS): curl -sI https://track.customer.io";
    Check::failure(
        CREDENTIALS,
        format!("Customer.io does not answer: {error}"),
        remedy,
    )
}

pub(in crate::doctor) fn not_given(why: &str) -> Check {
    let remedy = "set CUSTOMERIO_SITE_ID and CUSTOMERIO_TRACK_API_KEY, or name a pipeline: cio doctor PIPELINE";
    Check::warning(CREDENTIALS, format!("not checked: {why}"), remedy)
}

/// What the answer means.
pub(in crate::doctor) fn checks(facts: &Facts) -> Vec<Check> {
    let other = match facts.set {
        Region::Us => Region::Eu,
        Region::Eu => Region::Us,
    };
    let remedy = format!(
        "set CUSTOMERIO_REGION={} (spec.workspace.region: {0})",
        other.as_str()
    );
    let wrong = |finding: String| Check::failure(REGION, finding, remedy.clone());
    match facts.status {
        200 => vec![Check::pass(CREDENTIALS, "accepted"), region(facts, wrong)],
        300..=399 => vec![wrong(format!(
            "Customer.io redirects away from region {}: the workspace is elsewhere",
            facts.set.as_str()
        ))],
        401 | 403 if facts.elsewhere == Some(200) => vec![
            Check::pass(CREDENTIALS, "accepted, in the other region"),
            wrong(format!("the workspace is in region {}", other.as_str())),
        ],
        status @ (401 | 403) => vec![Check::failure(
            CREDENTIALS,
            format!("Customer.io refuses the credentials ({status})"),
            "take site id and Track API key (not the App API key) from Settings, API Credentials; then \
             kubectl create secret generic customerio --from-literal=siteId=… --from-literal=apiKey=… \
             --dry-run=client -o yaml | kubectl apply -f -",
        )],
        status => vec![Check::warning(
            CREDENTIALS,
            format!("Customer.io answers {status}: neither accepted nor refused"),
            "try again; status.customer.io says whether there is an incident",
        )],
    }
}

fn region(facts: &Facts, wrong: impl FnOnce(String) -> Check) -> Check {
    match facts.named.as_deref() {
        Some(named) if named.eq_ignore_ascii_case(facts.set.as_str()) => {
            Check::pass(REGION, format!("{named}, as set"))
        }
        Some(named) => wrong(format!(
            "the workspace is in region {named:?}, {} is set",
            facts.set.as_str()
        )),
        None => Check::warning(
            REGION,
            "the answer names no region",
            "is CUSTOMERIO_TRACK_URL (spec.workspace.endpoint) a Track API?",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict::{Failure, Pass, Warning};

    #[test]
    fn each_answer_has_its_meaning() {
        // status, region named, the other host's status → credentials, region
        for (status, named, elsewhere, credentials, region) in [
            (200, Some("us"), None, Some(Pass), Some(Pass)),
            (200, Some("eu"), None, Some(Pass), Some(Failure)),
            (200, None, None, Some(Pass), Some(Warning)),
            (301, None, None, None, Some(Failure)),
            (401, None, Some(200), Some(Pass), Some(Failure)),
            (401, None, Some(401), Some(Failure), None),
            (403, None, None, Some(Failure), None),
            (429, None, None, Some(Warning), None),
            (500, None, None, Some(Warning), None),
        ] {
            let facts = Facts {
                set: Region::Us,
                status,
                named: named.map(str::to_owned),
                elsewhere,
            };
            let found = checks(&facts);
            let verdict = |name| found.iter().find(|it| it.name == name).map(|it| it.verdict);
            assert_eq!(
                (verdict(CREDENTIALS), verdict(REGION)),
                (credentials, region),
                "{facts:?}"
            );
        }
    }

    #[test]
    fn a_wrong_region_is_mended_by_the_other_one() {
        let facts = Facts {
            set: Region::Eu,
            status: 200,
            named: Some("us".to_owned()),
            elsewhere: None,
        };
        let remedy = checks(&facts)[1].remedy.clone().unwrap_or_default();
        assert!(remedy.contains("CUSTOMERIO_REGION=us"), "{remedy}");
    }
}
