//! A Lease's record: read from the object, and written into it. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

use super::{Election, LEASE};

/// What a release leaves as the duration, as client-go does.
const RELEASED: Duration = Duration::from_secs(1);

/// What a look at a Lease is compared by. The times are other machines': they are looked at for
/// a change, and never compared with a clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Who holds it; none after a release.
    pub(super) holder: Option<String>,
    pub(super) duration: Option<Duration>,
    pub(super) renewed: Option<Timestamp>,
    /// How often it changed hands.
    pub(super) transitions: i32,
}

impl Record {
    /// Whether its holder gave it back. A Lease without a holder that does not say so was cleared by
    /// somebody else, and its holder may still write.
    pub(super) fn is_released(&self) -> bool {
        self.holder.is_none() && self.duration == Some(RELEASED)
    }
}

/// What an object says.
pub(super) fn read(lease: &Lease) -> Record {
    let Some(spec) = &lease.spec else {
        return Record::default();
    };
    let seconds = |seconds| u64::try_from(seconds).ok().map(Duration::from_secs);
    Record {
        holder: spec
            .holder_identity
            .clone()
            .filter(|holder| !holder.is_empty()),
        duration: spec.lease_duration_seconds.and_then(seconds),
        renewed: spec.renew_time.as_ref().map(|time| time.0),
        transitions: spec.lease_transitions.unwrap_or(0),
    }
}

/// The first Lease.
pub(super) fn created(election: &Election, now: Timestamp) -> Lease {
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(election.lease.clone()),
            namespace: Some(election.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: None,
    };
    let mut lease = taken(lease, &election.identity, now);
    spec(&mut lease).lease_transitions = Some(0);
    lease
}

/// The Lease, in other hands. What else is in it stays, above all its `resourceVersion`.
pub(super) fn taken(mut lease: Lease, me: &str, now: Timestamp) -> Lease {
    let spec = spec(&mut lease);
    spec.holder_identity = Some(me.to_owned());
    spec.acquire_time = Some(MicroTime(now));
    spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
    renewed(lease, now)
}

/// The Lease, in the same hands for longer.
pub(super) fn renewed(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = spec(&mut lease);
    spec.lease_duration_seconds = i32::try_from(LEASE.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    lease
}

/// The Lease, in nobody's hands: as client-go releases, so that its tools understand it.
pub(super) fn released(mut lease: Lease, now: Timestamp) -> Lease {
    let spec = spec(&mut lease);
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = i32::try_from(RELEASED.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    lease
}

fn spec(lease: &mut Lease) -> &mut LeaseSpec {
    lease.spec.get_or_insert_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn election() -> Election {
        Election {
            namespace: "cio".to_owned(),
            lease: "cio-operator".to_owned(),
            identity: "a".to_owned(),
        }
    }

    #[test]
    fn a_lease_counts_its_hands_and_keeps_its_version() {
        let (first, second) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:20Z"));
        let mut lease = created(&election(), first);
        lease.metadata.resource_version = Some("7".to_owned());
        assert_eq!(read(&lease).holder.as_deref(), Some("a"));
        assert_eq!(read(&lease).duration, Some(LEASE));
        assert_eq!(read(&lease).transitions, 0);

        let lease = renewed(lease, second);
        assert_eq!(read(&lease).renewed, Some(second));
        assert_eq!(read(&lease).transitions, 0);

        let lease = taken(released(lease, second), "b", second);
        assert_eq!(read(&lease).holder.as_deref(), Some("b"));
        assert_eq!(read(&lease).transitions, 1);
        assert_eq!(read(&lease).duration, Some(LEASE));
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("7"));
    }

    #[test]
    fn a_released_lease_is_nobodys() {
        let now = at("2026-01-01T00:00:00Z");
        let mut cleared = created(&election(), now);
        let lease = released(cleared.clone(), now);
        assert_eq!(read(&lease).holder, None);
        assert!(read(&lease).is_released());
        spec(&mut cleared).holder_identity = None;
        assert!(!read(&cleared).is_released(), "nobody gave it back");
        assert_eq!(read(&Lease::default()), Record::default());
    }
}
