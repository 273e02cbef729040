//! Following what the API server tells of one kind, however often the watch is interrupted.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use futures::StreamExt;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource};
use prometheus::IntCounter;
use rand::RngExt;
use serde::de::DeserializeOwned;
use tokio::sync::watch::Sender;

/// Objects in one page of a list: it bounds what is in memory untrimmed.
const PAGE: u32 = 200;
/// Seconds after which the API server ends a watch, and it is taken up again where it was: one over
/// a connection that was lost in silence is noticed 5 s later. Drawn for each watch, so that those of
/// a hundred namespaces, which begin together, do not go on so. Pods have to be known as they are.
pub(super) const PODS: RangeInclusive<u32> = 15..=20;
/// The same of pipelines, of which only what people change matters here. At most kube's own.
pub(super) const PIPELINES: RangeInclusive<u32> = 240..=290;

/// One watch of several over the same kind, each over one namespace or over all.
pub(super) struct Follower {
    /// What is followed, for the log.
    pub(super) what: &'static str,
    /// The namespace; none for all.
    pub(super) namespace: Option<String>,
    /// Between how many seconds a watch lasts.
    pub(super) seconds: RangeInclusive<u32>,
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
        let seconds = rand::rng().random_range(self.seconds.clone());
        let config = config.page_size(PAGE).timeout(seconds);
        let events = watcher(api, config).default_backoff();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::http::{Request, Response, Uri};
    use k8s_openapi::api::core::v1::Pod;
    use kube::client::Body;
    use serde_json::json;
    use tokio::sync::{mpsc, watch};

    use super::*;

    /// Lists nothing, then tells the address of the watch and is silent for ever.
    fn silent_server(watches: mpsc::UnboundedSender<Uri>) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let watches = watches.clone();
            async move {
                let query = request.uri().query().unwrap_or_default();
                if query.contains("watch=true") {
                    watches.send(request.uri().clone()).unwrap();
                    std::future::pending::<()>().await;
                }
                let list = json!({"metadata": {"resourceVersion": "7"}, "items": []});
                let body = Body::from(serde_json::to_vec(&list).unwrap());
                Ok::<_, kube::Error>(Response::new(body))
            }
        });
        Client::new(service, "default")
    }

    /// The seconds that a watch asks for.
    async fn asked_for(seconds: RangeInclusive<u32>) -> u32 {
        let (sender, mut watches) = mpsc::unbounded_channel();
        let (missing, _listed) = watch::channel(1);
        let follower = Follower {
            what: "pods",
            namespace: None,
            seconds,
            missing,
            errors: IntCounter::new("errors", "errors").unwrap(),
        };
        let client = silent_server(sender);
        let listed = |event: Event<Pod>| matches!(event, Event::InitDone);
        let uri = tokio::select! {
            () = follower.run::<Pod>(client, watcher::Config::default(), listed) => None,
            uri = watches.recv() => uri,
        };
        let uri = uri.unwrap();
        let mut parameters = uri.query().unwrap_or_default().split('&');
        let seconds = parameters.find_map(|it| it.strip_prefix("timeoutSeconds="));
        seconds.unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn watches_that_begin_together_end_one_by_one() {
        for (what, range) in [("pods", PODS), ("pipelines", PIPELINES)] {
            let mut asked = BTreeSet::new();
            for _ in 0..64 {
                asked.insert(asked_for(range.clone()).await);
            }
            let outside = asked.iter().find(|seconds| !range.contains(seconds));
            assert_eq!(outside, None, "{what}");
            assert!(asked.len() > 1, "{what}: {asked:?}");
        }
    }
}
