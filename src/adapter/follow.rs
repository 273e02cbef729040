//! Following what the API server tells of one kind, however often the watch is interrupted.

use std::fmt::Debug;

use futures::StreamExt;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use prometheus::IntCounter;
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;

/// Objects in one page of a list: it bounds what is in memory untrimmed.
const PAGE: u32 = 200;

/// One watch of several over the same kind, each over one namespace or over all.
pub(super) struct Follower {
    /// What is followed, for the log.
    pub(super) what: &'static str,
    /// The namespace; none for all.
    pub(super) namespace: Option<String>,
    /// How many watches still wait for their first complete list.
    pub(super) missing: Sender<usize>,
    /// Counts interruptions; each is retried with backoff.
    pub(super) errors: IntCounter,
}

impl Follower {
    /// Hands each event to `take`, which says whether a list is now complete, until dropped.
    pub(super) async fn run<K>(
        &self,
        client: Client,
        config: watcher::Config,
        mut take: impl FnMut(Event<K>) -> bool,
    ) where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api: Api<K> = match &self.namespace {
            None => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
        };
        let events = watcher(api, config.page_size(PAGE)).default_backoff();
        let mut events = std::pin::pin!(events);
        let mut listed_once = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if take(event) && !listed_once {
                        listed_once = true;
                        self.missing.send_modify(|missing| *missing -= 1);
                    }
                }
                Err(error) => {
                    self.errors.inc();
                    tracing::warn!(error = %error, "the watch of {} was interrupted", self.what);
                }
            }
        }
    }
}
