//! What to do, given what was seen of the Lease. Pure.

use std::time::Duration;

use tokio::time::Instant;

use super::record::Record;
use super::{LEASE, RENEW};

/// A Lease as it was seen, and since when it looks like that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) record: Record,
    /// When this record was first seen, by our own monotonic clock.
    pub(super) since: Instant,
}

impl Seen {
    /// What is known after another look: a record that did not change keeps its age.
    pub(super) fn again(before: Option<&Self>, record: Record, now: Instant) -> Self {
        match before {
            Some(before) if before.record == record => before.clone(),
            _ => Self { record, since: now },
        }
    }

    fn expires(&self) -> Instant {
        self.since + self.record.duration.unwrap_or(LEASE)
    }
}

/// The Lease as it was when somebody else last held it. That it is gone, or has no holder, does not
/// mean that they stopped: only a release does, and that it is ours.
pub(super) fn foreign(before: Option<Seen>, seen: Option<&Seen>, me: &str) -> Option<Seen> {
    let Some(seen) = seen else { return before };
    match seen.record.holder.as_deref() {
        Some(holder) if holder == me => None,
        Some(_) => Some(seen.clone()),
        None if seen.record.is_released() => None,
        None => before,
    }
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// There is no Lease: make it, ours.
    Create,
    /// It is nobody's, or its holder is gone: take it.
    Take,
    /// It is ours: say so again.
    Renew,
    /// It is somebody else's.
    Wait(String),
    /// It was ours and is somebody else's now: stop at once.
    Lost(String),
}

/// The step for `me`, who leads or does not, at `now`; `foreign` is what [`foreign()`] says.
pub(super) fn step(
    seen: Option<&Seen>,
    foreign: Option<&Seen>,
    me: &str,
    leading: bool,
    now: Instant,
) -> Step {
    let writing = foreign.filter(|foreign| now < foreign.expires());
    let writing = writing.and_then(|foreign| foreign.record.holder.clone());
    let Some(seen) = seen else {
        return writing.map_or(Step::Create, Step::Wait);
    };
    match seen.record.holder.as_deref() {
        None => writing.map_or(Step::Take, Step::Wait),
        Some(holder) if holder == me => Step::Renew,
        Some(holder) if leading => Step::Lost(holder.to_owned()),
        Some(_) if now >= seen.expires() => Step::Take,
        Some(holder) => Step::Wait(holder.to_owned()),
    }
}

/// How long to wait before the next look: not longer than until a leader's deadline, or until
/// another's Lease expires.
pub(super) fn pause(
    retry: Duration,
    seen: Option<&Seen>,
    deadline: Option<Instant>,
    now: Instant,
) -> Duration {
    if deadline.is_some() {
        return patience(retry, deadline, now);
    }
    let expires = seen.map(Seen::expires).filter(|expires| *expires > now);
    patience(retry, expires, now)
}

/// Until when a renewal that was asked for at `asked`, and succeeded, allows to write.
pub(super) fn deadline(asked: Instant) -> Instant {
    asked + RENEW
}

/// How long a request may take: a leader does not wait beyond its deadline.
pub(super) fn patience(limit: Duration, deadline: Option<Instant>, now: Instant) -> Duration {
    deadline.map_or(limit, |deadline| {
        limit.min(deadline.saturating_duration_since(now))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(holder: Option<&str>, seconds: u64, since: Instant) -> Seen {
        let record = Record {
            holder: holder.map(str::to_owned),
            duration: Some(Duration::from_secs(seconds)),
            ..Record::default()
        };
        Seen { record, since }
    }

    #[test]
    fn every_case_of_lease_and_holder_has_its_step() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let wait = Step::Wait("other".to_owned());
        let lost = Step::Lost("other".to_owned());
        let cases = [
            ("no lease", None, false, 0, Step::Create),
            ("a lease that was deleted", None, true, 0, Step::Create),
            ("released", Some((None, 1)), false, 0, Step::Take),
            ("cleared under us", Some((None, 15)), true, 0, Step::Take),
            ("ours", Some((Some("me"), 15)), true, 9_000, Step::Renew),
            (
                "ours, known from an answer that got lost",
                Some((Some("me"), 15)),
                false,
                0,
                Step::Renew,
            ),
            (
                "another's, just seen",
                Some((Some("other"), 15)),
                false,
                0,
                wait.clone(),
            ),
            (
                "another's, nearly expired",
                Some((Some("other"), 15)),
                false,
                14_999,
                wait.clone(),
            ),
            (
                "another's, expired",
                Some((Some("other"), 15)),
                false,
                15_000,
                Step::Take,
            ),
            (
                "another's, who asks for longer",
                Some((Some("other"), 60)),
                false,
                15_000,
                wait,
            ),
            (
                "taken from us",
                Some((Some("other"), 15)),
                true,
                0,
                lost.clone(),
            ),
            (
                "taken from us, and expired since",
                Some((Some("other"), 15)),
                true,
                20_000,
                lost,
            ),
        ];
        for (what, lease, leading, millis, expected) in cases {
            let lease = lease.map(|(holder, seconds)| seen(holder, seconds, start));
            let step = step(lease.as_ref(), None, "me", leading, after(millis));
            assert_eq!(step, expected, "{what}");
        }
    }

    #[test]
    fn a_lease_that_vanishes_under_its_holder_is_free_when_it_would_have_expired() {
        let start = Instant::now();
        let theirs = seen(Some("other"), 15, start);
        let gone = None;
        let cleared = Some(seen(None, 15, start));
        let released = Some(seen(None, 1, start));
        let wait = || Step::Wait("other".to_owned());
        for (what, now_seen, millis, expected) in [
            ("deleted", &gone, 2_000, wait()),
            ("deleted, nearly expired", &gone, 14_999, wait()),
            ("deleted, expired", &gone, 15_000, Step::Create),
            ("cleared", &cleared, 2_000, wait()),
            ("cleared, expired", &cleared, 15_000, Step::Take),
            ("released", &released, 2_000, Step::Take),
        ] {
            let foreign = foreign(Some(theirs.clone()), now_seen.as_ref(), "me");
            let now = start + Duration::from_millis(millis);
            let step = step(now_seen.as_ref(), foreign.as_ref(), "me", false, now);
            assert_eq!(step, expected, "{what}");
        }
    }

    #[test]
    fn who_held_it_last_is_known_until_it_is_released_or_ours() {
        let start = Instant::now();
        let (theirs, ours) = (seen(Some("other"), 15, start), seen(Some("me"), 15, start));
        let (cleared, released) = (seen(None, 15, start), seen(None, 1, start));
        for (what, now_seen, expected) in [
            ("deleted", None, Some(&theirs)),
            ("cleared", Some(&cleared), Some(&theirs)),
            ("released", Some(&released), None),
            ("ours", Some(&ours), None),
        ] {
            let found = foreign(Some(theirs.clone()), now_seen, "me");
            assert_eq!(found.as_ref(), expected, "{what}");
        }
        assert_eq!(foreign(None, Some(&theirs), "me"), Some(theirs));
    }

    #[test]
    fn a_record_that_did_not_change_keeps_its_age_and_one_that_did_starts_anew() {
        let start = Instant::now();
        let later = start + Duration::from_secs(4);
        let first = seen(Some("other"), 15, start);
        let same = Seen::again(Some(&first), first.record.clone(), later);
        assert_eq!(same.since, start);
        let renewed = Record {
            renewed: Some("2026-01-01T00:00:02Z".parse().unwrap()),
            ..first.record.clone()
        };
        assert_eq!(Seen::again(Some(&first), renewed, later).since, later);
        let unknown = Seen::again(None, first.record, later);
        assert_eq!(unknown.since, later, "its age before we looked is unknown");
    }

    #[test]
    fn a_leader_waits_for_no_answer_beyond_its_deadline() {
        let start = Instant::now();
        let limit = Duration::from_secs(5);
        let deadline = Some(deadline(start));
        for (now, expected) in [(0, 5), (5, 5), (8, 2), (10, 0), (11, 0)] {
            let now = start + Duration::from_secs(now);
            let patience = patience(limit, deadline, now);
            assert_eq!(patience, Duration::from_secs(expected), "{now:?}");
        }
        assert_eq!(patience(limit, None, start), limit);
    }

    #[test]
    fn the_next_look_comes_when_something_may_end() {
        let start = Instant::now();
        let retry = Duration::from_secs(2);
        let theirs = seen(Some("other"), 15, start);
        let ours = seen(Some("me"), 15, start);
        let until = Some(deadline(start));
        for (what, seen, deadline, millis, expected) in [
            ("nothing known", None, None, 0, 2_000),
            ("long to wait", Some(&theirs), None, 1_000, 2_000),
            ("soon expired", Some(&theirs), None, 14_500, 500),
            (
                "expired, and not taken yet",
                Some(&theirs),
                None,
                15_000,
                2_000,
            ),
            ("leading", Some(&ours), until, 1_000, 2_000),
            ("soon at the deadline", Some(&ours), until, 9_500, 500),
            ("at the deadline", Some(&ours), until, 10_000, 0),
        ] {
            let now = start + Duration::from_millis(millis);
            let pause = pause(retry, seen, deadline, now);
            assert_eq!(pause, Duration::from_millis(expected), "{what}");
        }
    }
}
