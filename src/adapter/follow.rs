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

use crate::runtime::cluster;

/// Seconds after which the API server ends a watch, and it is taken up again where it was: one over
/// a connection that was lost in silence is noticed 5 s later. Drawn for each watch, so that those of
/// a hundred namespaces, which begin together, do not go on so. Pods have to be known as they are.
pub(super) const PODS: RangeInclusive<u32> = 15..=20;
/// The same of pipelines, of which only what people change matters here. At most kube's own.
pub(super) const PIPELINES: RangeInclusive<u32> = 240..=290;

/// How far the watches of one kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Those that wait for their first word.
    waiting: usize,
    /// Those that have had a complete list.
    listed: usize,
}

impl Progress {
    pub(super) fn of(watches: usize) -> Self {
        Self {
            waiting: watches,
            listed: 0,
        }
    }

    /// Whether all that can be known is known: of several namespaces one may have been deleted, and
    /// must not keep the others waiting. Where nothing may be listed, nothing is known.
    pub(super) fn is_enough(&self) -> bool {
        self.waiting == 0 && self.listed > 0
    }
}

/// One watch of several over the same kind, each over one namespace or over all.
pub(super) struct Follower {
    /// What is followed, for the log.
    pub(super) what: &'static str,
    /// The namespace; none for all.
    pub(super) namespace: Option<String>,
    /// Between how many seconds a watch lasts.
    pub(super) seconds: RangeInclusive<u32>,
    /// How far it is, with the others.
    pub(super) progress: Sender<Progress>,
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
        let config = config.page_size(cluster::PAGE).timeout(seconds);
        let events = watcher(api, config).default_backoff();
        let mut events = std::pin::pin!(events);
        let (mut listed_once, mut refused_once) = (false, false);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if take(event) && !listed_once {
                        listed_once = true;
                        self.progress.send_modify(|progress| {
                            progress.listed += 1;
                            progress.waiting -= usize::from(!refused_once);
                        });
                    }
                }
                Err(error) => {
                    self.errors.inc();
                    let namespace = self.namespace.as_deref();
                    tracing::warn!(
                        k8s.namespace = namespace,
                        error = %error,
                        "the watch of {} was interrupted",
                        self.what
                    );
                    if is_refused(&error) && !listed_once && !refused_once {
                        refused_once = true;
                        self.progress.send_modify(|progress| progress.waiting -= 1);
                    }
                }
            }
        }
    }
}

/// Whether there is nothing to list as far as the API server lets us know.
fn is_refused(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(error) if cluster::is_refused(error))
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
        let (progress, _listed) = watch::channel(Progress::of(1));
        let follower = Follower {
            what: "pods",
            namespace: None,
            seconds,
            progress,
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

    /// Lists nothing but in the namespace `gone`, of which it says what it says of one without rights.
    fn server_without_rights_in_one() -> Client {
        let service = tower::service_fn(|request: Request<Body>| async move {
            let list = json!({"metadata": {"resourceVersion": "7"}, "items": []});
            let (code, body) = match request.uri().path() {
                "/api/v1/namespaces/there/pods" => (200, list),
                _ => (
                    403,
                    json!({"status": "Failure", "code": 403, "reason": "Forbidden"}),
                ),
            };
            if request
                .uri()
                .query()
                .unwrap_or_default()
                .contains("watch=true")
            {
                std::future::pending::<()>().await;
            }
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            let answer = Response::builder().status(code).body(body);
            Ok::<_, kube::Error>(answer.unwrap())
        });
        Client::new(service, "default")
    }

    /// Whether the pods of these namespaces are known at last.
    async fn is_known(namespaces: &[Option<&str>]) -> bool {
        let (progress, mut known) = watch::channel(Progress::of(namespaces.len()));
        let client = server_without_rights_in_one();
        let followers: Vec<_> = namespaces
            .iter()
            .map(|namespace| Follower {
                what: "pods",
                namespace: namespace.map(str::to_owned),
                seconds: PODS,
                progress: progress.clone(),
                errors: IntCounter::new("errors", "errors").unwrap(),
            })
            .collect();
        let watches = followers.iter().map(|follower| {
            let take = |event: Event<Pod>| matches!(event, Event::InitDone);
            follower.run::<Pod>(client.clone(), watcher::Config::default(), take)
        });
        tokio::select! {
            _ = futures::future::join_all(watches) => false,
            done = known.wait_for(Progress::is_enough) => done.is_ok(),
            () = tokio::time::sleep(std::time::Duration::from_mins(2)) => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_gone_keeps_no_other_waiting_and_no_right_at_all_keeps_all() {
        for (namespaces, known) in [
            (vec![Some("there")], true),
            (vec![Some("gone"), Some("there")], true),
            (vec![Some("gone")], false),
            (vec![Some("gone"), Some("gone-too")], false),
            (vec![None], false),
        ] {
            assert_eq!(is_known(&namespaces).await, known, "{namespaces:?}");
        }
    }
}
