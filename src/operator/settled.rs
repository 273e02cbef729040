//! Which pipelines were as they should be, so that nobody is asked again and again for what is in no
//! cache: a `PodMonitor`, and the HPA that a suspended pipeline does not have.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use crate::api::CioPipeline;

/// One that is wanted is looked at this often: somebody may have changed it.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
/// For so long a cluster without the resource is not asked again.
const ABSENT: Duration = Duration::from_secs(30);
/// More pipelines than this are not remembered: they are looked at once more.
const MOST: usize = 16_384;

/// What is remembered of a pipeline.
#[derive(Debug, Clone, Copy)]
struct Seen {
    generation: Option<i64>,
    at: Instant,
}

/// By the pipelines' uid; and when the cluster was last found to have no such resource at all.
#[derive(Debug, Default)]
pub(super) struct Settled {
    seen: Mutex<HashMap<String, Seen>>,
    absent: Mutex<Option<Instant>>,
}

impl Settled {
    /// Whether there is nothing to look at.
    pub(super) fn holds(&self, pipeline: &CioPipeline) -> bool {
        let wanted = pipeline.spec.monitoring.pod_monitor;
        let uid = pipeline.uid().unwrap_or_default();
        self.seen().get(&uid).is_some_and(|seen| {
            seen.generation == pipeline.metadata.generation
                && !(wanted && seen.at.elapsed() > LOOK_AGAIN)
        })
    }

    /// It was looked at, and is as it should be.
    pub(super) fn settle(&self, pipeline: &CioPipeline) {
        let mut seen = self.seen();
        if seen.len() >= MOST {
            // Pipelines that were deleted are never heard of again.
            seen.clear();
        }
        let now = Seen {
            generation: pipeline.metadata.generation,
            at: Instant::now(),
        };
        seen.insert(pipeline.uid().unwrap_or_default(), now);
    }

    /// Whether the cluster had no such resource a moment ago: then nobody has one.
    pub(super) fn is_absent(&self) -> bool {
        let absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.is_some_and(|at| at.elapsed() < ABSENT)
    }

    /// The cluster has no such resource.
    pub(super) fn absent(&self) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        *absent = Some(Instant::now());
    }

    // A panic cannot leave the map half changed: every change is one insert or all of it.
    fn seen(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::pipeline;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_look_for_each_generation_and_one_more_now_and_then_where_one_is_wanted() {
        for (more, afterwards) in [("", true), ("  monitoring: {podMonitor: true}\n", false)] {
            let settled = Settled::default();
            let mut pipeline = pipeline(more);
            assert!(!settled.holds(&pipeline));
            settled.settle(&pipeline);
            assert!(settled.holds(&pipeline));
            tokio::time::advance(LOOK_AGAIN + Duration::from_secs(1)).await;
            assert_eq!(settled.holds(&pipeline), afterwards, "{more}");
            pipeline.metadata.generation = Some(9);
            assert!(!settled.holds(&pipeline));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_without_the_resource_is_asked_again_after_a_while() {
        let settled = Settled::default();
        assert!(!settled.is_absent());
        settled.absent();
        assert!(settled.is_absent());
        tokio::time::advance(ABSENT).await;
        assert!(!settled.is_absent());
    }
}
