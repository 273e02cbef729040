//! The Secret's contents after a step. Pure, but for the keys in what was issued.

use jiff::Timestamp;

use super::inspect::facts;
use super::issue::Issued;
use super::stored::Stored;

/// So many authorities of before are kept when there was no order in which they came.
const OTHERS: usize = 2;

/// The first certificate, or one in an emergency. Whom callers believed they believe still:
/// adapters may be serving with a certificate that is in no Secret any more.
pub(super) fn issued(stored: &Stored, believed: &[String], new: Issued, now: Timestamp) -> Stored {
    let mut authorities: Vec<String> = Vec::new();
    for authority in stored.authorities.iter().chain(believed) {
        let valid = facts(authority).is_some_and(|facts| now < facts.not_after);
        if valid && !authorities.contains(authority) {
            authorities.push(authority.clone());
        }
    }
    let surplus = authorities.len().saturating_sub(OTHERS);
    authorities.drain(..surplus);
    authorities.push(new.authority);
    Stored {
        current: Some(new.pair),
        next: None,
        authorities,
        rotate: false,
    }
}

/// The next certificate, put aside. Of the authorities the one in use stays; one before that is
/// used by nobody any more.
pub(super) fn staged(stored: Stored, new: Issued) -> Stored {
    let in_use = stored
        .current
        .as_ref()
        .and_then(|pair| facts(&pair.certificate))
        .map(|facts| facts.issuer);
    let mut authorities = stored.authorities;
    authorities.retain(|authority| facts(authority).map(|facts| facts.subject) == in_use);
    authorities.push(new.authority);
    Stored {
        current: stored.current,
        next: Some(new.pair),
        authorities,
        rotate: false,
    }
}

/// The next certificate takes over.
pub(super) fn promoted(stored: Stored) -> Stored {
    Stored {
        current: stored.next,
        next: None,
        ..stored
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::Secret;

    use super::super::issue::issue;
    use super::super::plan::{Plan, plan};
    use super::super::{LIFE, RENEWAL, SETTLE};
    use super::*;

    fn names() -> Vec<String> {
        vec!["adapter.cio.svc".to_owned()]
    }

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn first() -> Stored {
        let new = issue(&names(), start()).unwrap();
        issued(&Stored::default(), &[], new, start())
    }

    fn next(stored: &Stored, settled: bool, at: Timestamp) -> Plan {
        plan(stored, &names(), settled, at)
    }

    #[test]
    fn a_certificate_is_renewed_in_order_and_both_authorities_are_believed_over_the_change() {
        let nothing = Stored::default();
        assert_eq!(next(&nothing, true, start()), Plan::Issue);
        let one = first();
        assert_eq!(next(&one, true, start()), Plan::Rest);
        let due = start() + RENEWAL;
        assert_eq!(next(&one, true, due - Duration::from_secs(1)), Plan::Rest);
        assert_eq!(next(&one, true, due), Plan::Stage);

        let aside = staged(one.clone(), issue(&names(), due).unwrap());
        assert_eq!(aside.current, one.current, "not served with yet");
        assert_eq!(aside.authorities.len(), 2);
        let settled = due + SETTLE;
        assert_eq!(
            next(&aside, false, settled),
            Plan::Rest,
            "API servers read it"
        );
        assert_eq!(next(&aside, true, settled), Plan::Promote);

        let two = promoted(aside.clone());
        assert_eq!(two.current, aside.next);
        assert_eq!(two.authorities, aside.authorities, "for late adapters");
        assert_eq!(next(&two, true, settled), Plan::Rest);
        let later = due + RENEWAL;
        assert_eq!(next(&two, true, later), Plan::Stage);
        let three = staged(two.clone(), issue(&names(), later).unwrap());
        assert_eq!(three.authorities.len(), 2, "the first one's is dropped");
        assert_eq!(three.authorities[0], two.authorities[1]);
    }

    #[test]
    fn whatever_cannot_be_served_with_is_replaced_at_once() {
        let good = first();
        let other = first();
        let with = |change: &dyn Fn(&mut Stored)| {
            let mut stored = good.clone();
            change(&mut stored);
            next(&stored, true, start())
        };
        assert_eq!(with(&|_| {}), Plan::Rest);
        assert_eq!(with(&|stored| stored.current = None), Plan::Issue);
        assert_eq!(with(&|stored| stored.authorities.clear()), Plan::Issue);
        assert_eq!(
            with(&|stored| stored.authorities.clone_from(&other.authorities)),
            Plan::Issue
        );
        let key = |stored: &Stored| stored.current.as_ref().unwrap().key.clone();
        assert_eq!(
            with(&|stored| stored.current.as_mut().unwrap().key = key(&other)),
            Plan::Issue,
            "key of another certificate"
        );
        assert_eq!(
            with(&|stored| stored.current.as_mut().unwrap().certificate = "garbage".to_owned()),
            Plan::Issue
        );
        assert_eq!(next(&good, true, start() + LIFE), Plan::Issue, "expired");
        let renamed = vec!["renamed.cio.svc".to_owned()];
        assert_eq!(plan(&good, &renamed, true, start()), Plan::Issue);
    }

    #[test]
    fn an_emergency_keeps_whom_callers_believe_and_not_who_has_expired() {
        let late = start() + LIFE;
        let [served, expired] = [late - RENEWAL, start()].map(|at| issue(&names(), at).unwrap());
        let believed = [served.authority.clone(), expired.authority];
        let new = issue(&names(), late).unwrap();
        let after = issued(&Stored::default(), &believed, new.clone(), late);
        assert_eq!(after.authorities, [served.authority, new.authority]);
        assert_eq!(next(&after, false, late), Plan::Rest);
    }

    #[test]
    fn a_person_may_ask_for_a_new_one() {
        let mut stored = first();
        stored.rotate = true;
        assert_eq!(next(&stored, true, start()), Plan::Stage);
        let aside = staged(stored, issue(&names(), start()).unwrap());
        assert!(!aside.rotate);
    }

    #[test]
    fn a_secret_gives_back_what_was_put_in() {
        let stored = staged(first(), issue(&names(), start()).unwrap());
        let mut secret = Secret::default();
        secret.metadata.resource_version = Some("7".to_owned());
        let annotations = [("cio.dev/rotate", "now"), ("other", "kept")];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
        secret.metadata.annotations = Some(annotations.into());
        let secret = stored.write(secret);
        assert_eq!(Stored::read(&secret), stored);
        assert_eq!(secret.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(secret.metadata.annotations.unwrap().len(), 1);
        assert_eq!(Stored::read(&Secret::default()), Stored::default());
    }
}
