//! The workspace's limit: who shares it.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{not_allowed, unknown};
use crate::delivery::limiter::sharers;
use crate::doctor::check::Check;
use crate::doctor::found::Found;

const NAME: &str = "rate-limit";
const SPLIT: &str = "rate-limit-redis";

/// From the hash that the limit is kept in.
pub(in crate::doctor) fn shared(fields: &BTreeMap<String, String>, now_ms: u64) -> Check {
    let live = sharers::rates(fields, now_ms * 1_000);
    let rates: BTreeSet<u64> = live.iter().copied().collect();
    let workers = live.len();
    match rates.iter().collect::<Vec<_>>()[..] {
        [] => Check::pass(
            NAME,
            "no worker shares the workspace's limit here at this moment",
        ),
        [rate] => Check::pass(NAME, format!("{workers} worker(s) share {rate} requests/s")),
        [lowest, ..] => Check::warning(
            NAME,
            format!(
                "{workers} workers of one workspace are set to {rates:?} requests/s: the lowest, {lowest}, holds for all"
            ),
            "set the same spec.workspace.rateLimit.requestsPerSecond (CIO_REQUESTS_PER_SECOND) everywhere",
        ),
    }
}

/// Pipelines of one workspace whose queues are on another Redis.
pub(in crate::doctor) fn split(elsewhere: Found<Vec<String>>) -> Check {
    let elsewhere = match elsewhere {
        Found::Yes(elsewhere) => elsewhere,
        Found::Forbidden => return not_allowed(SPLIT, "ciopipelines"),
        Found::No => return unknown(SPLIT, "there is no list of pipelines"),
        Found::Unknown(why) => return unknown(SPLIT, &why),
    };
    if elsewhere.is_empty() {
        return Check::pass(
            SPLIT,
            "no pipeline beside it has the same credentials and another Redis",
        );
    }
    Check::warning(
        SPLIT,
        format!(
            "pipeline(s) {} have the same credentials and another Redis: each Redis has a limit of its own, and together they exceed it",
            elsewhere.join(", ")
        ),
        "use one Redis for all, or give each a part of the limit in spec.workspace.rateLimit.requestsPerSecond",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict;

    #[test]
    fn only_live_workers_count_and_they_should_agree() {
        let now_ms = 1_000;
        for (fields, verdict, word) in [
            (&[("next", "5")][..], Verdict::Pass, "no worker"),
            (
                &[("m:a", "80:2000000"), ("m:b", "80:2000000")],
                Verdict::Pass,
                "2 worker(s) share 80",
            ),
            (
                &[("m:a", "80:2000000"), ("m:b", "40:900000")],
                Verdict::Pass,
                "1 worker(s) share 80",
            ),
            (
                &[("m:a", "80:2000000"), ("m:b", "40:2000000")],
                Verdict::Warning,
                "the lowest, 40",
            ),
            (&[("m:a", "nonsense")], Verdict::Pass, "no worker"),
        ] {
            let fields = fields
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            let found = shared(&fields, now_ms);
            assert_eq!(found.verdict, verdict, "{found:?}");
            assert!(found.finding.contains(word), "{found:?}");
        }
    }
}
