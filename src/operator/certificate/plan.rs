//! What the certificate needs now. Pure.

use jiff::Timestamp;

use super::inspect::{Facts, facts, fits};
use super::stored::{Pair, Stored};
use super::{BACKDATED, RENEWAL};

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// There is no certificate that could be served with: make one, at once.
    Issue,
    /// Make the next one and put it aside.
    Stage,
    /// The next one takes over.
    Promote,
    /// Nothing, or not yet.
    Rest,
}

/// The step for a certificate of `names`. `settled` is whether every `caBundle` of ours has held what
/// the Secret says for so long that API servers have read it.
pub(super) fn plan(stored: &Stored, names: &[String], settled: bool, now: Timestamp) -> Plan {
    let good = |pair: &Option<Pair>| {
        let pair = pair.as_ref()?;
        usable(pair, &stored.authorities, names, now)
    };
    let Some(current) = good(&stored.current) else {
        return Plan::Issue;
    };
    if stored.next.is_some() {
        return match good(&stored.next) {
            None => Plan::Stage,
            Some(_) if settled => Plan::Promote,
            Some(_) => Plan::Rest,
        };
    }
    if stored.rotate || now >= issued(&current) + RENEWAL {
        Plan::Stage
    } else {
        Plan::Rest
    }
}

/// The facts of a pair that can be served with, and whose authority is among the known.
fn usable(pair: &Pair, authorities: &[String], names: &[String], now: Timestamp) -> Option<Facts> {
    let found = facts(&pair.certificate)?;
    let known = authorities
        .iter()
        .filter_map(|authority| facts(authority))
        .any(|authority| authority.subject == found.issuer);
    let covers = names.iter().all(|name| found.names.contains(name));
    (known && covers && now < found.not_after && fits(pair)).then_some(found)
}

fn issued(facts: &Facts) -> Timestamp {
    facts.not_before + BACKDATED
}
