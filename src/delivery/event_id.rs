//! The id that makes a repeated delivery recognisable: the same job always gives the same one.

use sha2::{Digest, Sha256};
use ulid::Ulid;

/// Largest time that a ULID can hold: 48 bits of milliseconds.
const MAX_MS: u64 = (1 << 48) - 1;

/// The ULID of the event that a job carries: time part = when it was enqueued, random part = the
/// first 80 bits of SHA-256 over queue and job id.
///
/// Customer.io ignores an event whose id it has seen; any id in ULID form will do (answer in
/// community.customer.io, "Why ULID ids are required for deduplicating events").
pub fn event_id(queue: &str, job_id: &str, enqueued_at_ms: u64) -> String {
    let mut hash = Sha256::new();
    hash.update(queue.as_bytes());
    // No queue name holds a zero byte, so two different pairs never read the same.
    hash.update([0]);
    hash.update(job_id.as_bytes());
    let digest = hash.finalize();
    let random = digest
        .iter()
        .take(10)
        .fold(0_u128, |sum, &byte| (sum << 8) | u128::from(byte));
    Ulid::from_parts(enqueued_at_ms.min(MAX_MS), random).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_job_always_has_the_same_id() {
        let id = event_id("bull:cio-events", "17", 1_700_000_000_123);
        assert_eq!(id, event_id("bull:cio-events", "17", 1_700_000_000_123));
        let ulid: Ulid = id.parse().unwrap();
        assert_eq!(ulid.timestamp_ms(), 1_700_000_000_123);
    }

    proptest! {
        #[test]
        fn different_jobs_have_different_ids_and_all_are_ulids(
            a in ".{0,40}", b in ".{0,40}", ms in any::<u64>(),
        ) {
            let (first, second) = (event_id("q", &a, ms), event_id("q", &b, ms));
            prop_assert_eq!(a == b, first == second);
            prop_assert_eq!(first.len(), 26);
            prop_assert!(first.parse::<Ulid>().is_ok());
        }
    }
}
