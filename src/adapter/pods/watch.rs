//! Following the worker pods of all namespaces, or of some.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::runtime::watcher;

use super::pod::{self, WorkerPod};
use super::{PIPELINE_LABEL, PodStore};
use crate::adapter::follow::Follower;

/// A watch over one namespace, or over all of them.
pub(in crate::adapter) struct PodWatch {
    /// The watch itself.
    pub(in crate::adapter) follower: Follower,
    /// Where the pods go.
    pub(in crate::adapter) store: Arc<PodStore>,
}

impl PodWatch {
    /// Follows until dropped.
    pub(in crate::adapter) async fn run(self, client: Client) {
        let config = watcher::Config::default().labels(PIPELINE_LABEL);
        let mut listing = Vec::new();
        let take = |event| self.take(event, &mut listing);
        self.follower.run::<Pod>(client, config, take).await;
    }

    /// Takes one event in; whether a list is now complete.
    fn take(&self, event: watcher::Event<Pod>, listing: &mut Vec<(String, WorkerPod)>) -> bool {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(pod) => listing.extend(pod::trim(&pod)),
            watcher::Event::InitDone => {
                let listed = std::mem::take(listing);
                self.store
                    .replace(self.follower.namespace.as_deref(), listed);
                return true;
            }
            watcher::Event::Apply(pod) => self.store.apply(&pod),
            watcher::Event::Delete(pod) => self.store.delete(&pod),
        }
        false
    }
}
