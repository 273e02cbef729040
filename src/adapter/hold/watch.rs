//! Following the `CioPipelines` of all namespaces, or of some.

use std::sync::Arc;

use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use prometheus::IntCounter;
use tokio::sync::watch::Sender;

use super::{Holds, Key, target};
use crate::api::CioPipeline;

/// Pipelines in one page of a list: it bounds what is in memory untrimmed.
const PAGE: u32 = 200;

/// One that this version cannot read does not end the watch.
type Guarded = DeserializeGuard<CioPipeline>;

/// A watch over one namespace, or over all of them.
pub(in crate::adapter) struct HoldWatch {
    /// The namespace; none for all.
    pub(in crate::adapter) namespace: Option<String>,
    /// Where they go.
    pub(in crate::adapter) holds: Arc<Holds>,
    /// How many watches still wait for their first complete list.
    pub(in crate::adapter) missing: Sender<usize>,
    /// Counts interruptions; each is retried with backoff.
    pub(in crate::adapter) errors: IntCounter,
}

impl HoldWatch {
    /// Follows until dropped.
    pub(in crate::adapter) async fn run(self, client: Client) {
        let api: Api<Guarded> = match &self.namespace {
            None => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
        };
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        let mut listing = Vec::new();
        let mut listed_once = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if self.take(event, &mut listing) && !listed_once {
                        listed_once = true;
                        self.missing.send_modify(|missing| *missing -= 1);
                    }
                }
                Err(error) => {
                    self.errors.inc();
                    tracing::warn!(error = %error, "the watch of CioPipelines was interrupted");
                }
            }
        }
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
                self.holds.replace(self.namespace.as_deref(), listed);
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
