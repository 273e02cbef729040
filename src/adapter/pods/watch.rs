//! Following the worker pods of all namespaces, or of some.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use prometheus::IntCounter;
use tokio::sync::watch::Sender;

use super::pod::{self, WorkerPod};
use super::{PIPELINE_LABEL, PodStore};

/// Pods in one page of a list: it bounds what is in memory untrimmed.
const PAGE: u32 = 200;

/// A watch over one namespace, or over all of them.
pub(in crate::adapter) struct PodWatch {
    /// The namespace; none for all.
    pub(in crate::adapter) namespace: Option<String>,
    /// Where the pods go.
    pub(in crate::adapter) store: Arc<PodStore>,
    /// How many watches still wait for their first complete list.
    pub(in crate::adapter) missing: Sender<usize>,
    /// Counts interruptions; each is retried with backoff.
    pub(in crate::adapter) errors: IntCounter,
}

impl PodWatch {
    /// Follows until dropped.
    pub(in crate::adapter) async fn run(self, client: Client) {
        let api: Api<Pod> = match &self.namespace {
            None => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
        };
        let config = watcher::Config::default()
            .labels(PIPELINE_LABEL)
            .page_size(PAGE);
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
                    tracing::warn!(error = %error, "the watch of pods was interrupted");
                }
            }
        }
    }

    /// Takes one event in; whether a list is now complete.
    fn take(&self, event: watcher::Event<Pod>, listing: &mut Vec<(String, WorkerPod)>) -> bool {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(pod) => listing.extend(pod::trim(&pod)),
            watcher::Event::InitDone => {
                let listed = std::mem::take(listing);
                self.store.replace(self.namespace.as_deref(), listed);
                return true;
            }
            watcher::Event::Apply(pod) => self.store.apply(&pod),
            watcher::Event::Delete(pod) => self.store.delete(&pod),
        }
        false
    }
}
