//! What was said in a status that the watch has not brought back yet.
//!
//! On a busy API server the watch lags behind our own writes. Who judged by it would say the same
//! again, and publish the same event again, until it has caught up.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;

use crate::api::{CioPipeline, CioPipelineStatus};

/// More writes than this are not remembered: they are made again, which changes nothing.
const MOST: usize = 4096;

/// A write.
#[derive(Debug)]
struct Written {
    /// The resource's version as the watch had it then.
    before: Option<String>,
    status: CioPipelineStatus,
}

/// The writes of which the watch has not told, by the pipelines' uid.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<String, Written>>);

impl Told {
    /// The newest status that is known: the watch's, or ours where the watch does not have it.
    pub(super) fn newest(&self, pipeline: &CioPipeline) -> CioPipelineStatus {
        let uid = pipeline.uid().unwrap_or_default();
        let mut written = self.written();
        match written.get(&uid) {
            Some(ours) if ours.before == pipeline.resource_version() => ours.status.clone(),
            _ => {
                written.remove(&uid);
                pipeline.status.clone().unwrap_or_default()
            }
        }
    }

    /// This was written.
    pub(super) fn wrote(&self, pipeline: &CioPipeline, status: &CioPipelineStatus) {
        let mut written = self.written();
        if written.len() >= MOST {
            written.clear();
        }
        let ours = Written {
            before: pipeline.resource_version(),
            status: status.clone(),
        };
        written.insert(pipeline.uid().unwrap_or_default(), ours);
    }

    // A panic cannot leave the map half changed: every change is one insert, remove or all of it.
    fn written(&self) -> MutexGuard<'_, HashMap<String, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::pipeline;
    use super::*;

    fn status(replicas: i32) -> CioPipelineStatus {
        CioPipelineStatus {
            replicas: Some(replicas),
            ..CioPipelineStatus::default()
        }
    }

    #[test]
    fn our_own_word_counts_until_the_watch_has_moved() {
        let told = Told::default();
        let mut pipeline = pipeline("");
        pipeline.metadata.resource_version = Some("7".to_owned());
        pipeline.status = Some(status(1));
        assert_eq!(told.newest(&pipeline), status(1));
        told.wrote(&pipeline, &status(2));
        assert_eq!(told.newest(&pipeline), status(2));
        told.wrote(&pipeline, &status(3));
        assert_eq!(told.newest(&pipeline), status(3));
        // Somebody else's word, after ours.
        pipeline.metadata.resource_version = Some("9".to_owned());
        pipeline.status = Some(status(5));
        assert_eq!(told.newest(&pipeline), status(5));
        assert!(told.written().is_empty());
    }
}
