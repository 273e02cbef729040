//! How much of a pipeline's limit was used when a sidecar last knew it.
//!
//! A sidecar that has just started, or lost Redis for a moment, tells the depth without the limit.
//! That says nothing of the limit: what was known stands for a while.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use crate::adapter::limit::Limit;
use crate::adapter::reading::Reading;
use crate::api::CioPipeline;

/// For so long it stands: longer than the pause between two looks ever is, so that one blind
/// answer changes nothing.
const KEEP: Duration = Duration::from_mins(3);
/// More pipelines than this are not remembered: what they used is unknown until the next answer.
const MOST: usize = 16_384;

/// By the pipelines' uid.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<String, Known>>);

/// A limit, and when it was told.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    limit: Limit,
    at: Instant,
}

impl Limits {
    /// The reading with the limit that counts now.
    pub(super) fn fill(&self, pipeline: &CioPipeline, reading: Reading) -> Reading {
        let uid = pipeline.uid().unwrap_or_default();
        let mut known = self.known();
        let shared = shares_the_limit(pipeline);
        let now = Instant::now();
        let counts = counting(reading.limit, known.get(&uid).copied(), shared, now);
        if known.len() >= MOST {
            // Pipelines that were deleted are never heard of again.
            known.clear();
        }
        match counts {
            Some(counts) => known.insert(uid, counts),
            None => known.remove(&uid),
        };
        let limit = counts.map(|counts| counts.limit);
        Reading { limit, ..reading }
    }

    // A panic cannot leave the map half changed: every change is one insert, remove or all of it.
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether sidecars know a limit at all: workers of another image keep none in Redis.
fn shares_the_limit(pipeline: &CioPipeline) -> bool {
    pipeline.spec.worker.image.is_empty()
}

/// Pure: the limit that was told just now, else the last one, where it can still be true.
fn counting(
    told: Option<Limit>,
    before: Option<Known>,
    shared: bool,
    now: Instant,
) -> Option<Known> {
    match told {
        Some(limit) => Some(Known { limit, at: now }),
        None => before.filter(|before| shared && now.duration_since(before.at) <= KEEP),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::super::test_support::pipeline;
    use super::*;

    fn limit(used_ratio: f64) -> Limit {
        Limit {
            requests_per_second: 80.0,
            used_ratio,
            circuit_open: false,
        }
    }

    #[test]
    fn what_was_known_stands_while_sidecars_are_blind_and_not_for_ever() {
        let start = Instant::now();
        let before = Some(Known {
            limit: limit(0.98),
            at: start,
        });
        for (what, told, before, shared, seconds, expected) in [
            ("told", Some(limit(0.5)), before, true, 10, Some(0.5)),
            ("never told", None, None, true, 10, None),
            ("a blind answer", None, before, true, 10, Some(0.98)),
            ("a minute later", None, before, true, 60, Some(0.98)),
            ("blind for long", None, before, true, 181, None),
            ("another image since", None, before, false, 10, None),
        ] {
            let now = start + Duration::from_secs(seconds);
            let found = counting(told, before, shared, now);
            assert_eq!(found.map(|it| it.limit), expected.map(limit), "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_blind_answer_is_filled_in_with_the_depth_of_now() {
        let (limits, pipeline) = (Limits::default(), pipeline(""));
        let reading = |depth, limit| Reading {
            depth,
            read_at: Timestamp::UNIX_EPOCH,
            limit,
        };
        let known = reading(2000, Some(limit(0.98)));
        assert_eq!(limits.fill(&pipeline, known), known);
        tokio::time::advance(Duration::from_secs(10)).await;
        let filled = limits.fill(&pipeline, reading(1900, None));
        assert_eq!(filled, reading(1900, Some(limit(0.98))));
        tokio::time::advance(KEEP).await;
        let blind = reading(1800, None);
        assert_eq!(limits.fill(&pipeline, blind), blind);
        assert!(limits.known().is_empty());
    }
}
