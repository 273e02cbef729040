//! Following the `CioPipelines` of all namespaces, or of some.

use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};

use super::{Holds, Key, target};
use crate::adapter::follow::Follower;
use crate::api::CioPipeline;

/// One that this version cannot read does not end the watch.
type Guarded = DeserializeGuard<CioPipeline>;

/// A watch over one namespace, or over all of them.
pub(in crate::adapter) struct HoldWatch {
    /// The watch itself.
    pub(in crate::adapter) follower: Follower,
    /// Where they go.
    pub(in crate::adapter) holds: Arc<Holds>,
}

impl HoldWatch {
    /// Follows until dropped.
    pub(in crate::adapter) async fn run(self, client: Client) {
        let config = watcher::Config::default();
        let mut listing = Vec::new();
        let take = |event| self.take(event, &mut listing);
        self.follower.run::<Guarded>(client, config, take).await;
    }

    /// Takes one event in; whether a list is now complete.
    fn take(&self, event: watcher::Event<Guarded>, listing: &mut Vec<(Key, u64)>) -> bool {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(pipeline) => {
                let target = pipeline.0.as_ref().ok().and_then(|it| target(&it.spec));
                listing.extend(target.map(|target| (key(&pipeline), target)));
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(listing);
                self.holds
                    .replace(self.follower.namespace.as_deref(), listed);
                return true;
            }
            watcher::Event::Apply(pipeline) => {
                let (namespace, name) = key(&pipeline);
                let spec = pipeline.0.as_ref().ok().map(|it| &it.spec);
                self.holds.set(&namespace, &name, spec);
            }
            watcher::Event::Delete(pipeline) => {
                let (namespace, name) = key(&pipeline);
                self.holds.set(&namespace, &name, None);
            }
        }
        false
    }
}

fn key(pipeline: &Guarded) -> Key {
    (
        pipeline.namespace().unwrap_or_default(),
        pipeline.name_any(),
    )
}
