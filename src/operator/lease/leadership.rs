//! What the rest of the operator sees of the election.

use futures::stream::{self, Stream, StreamExt};
use hyper::Method;
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::runtime::cluster;

/// Whether we may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    No,
    Until(Instant),
    /// There is no election.
    Always,
}

/// Whether this process may write, now and at any later time. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::operator) struct Leadership(watch::Receiver<Held>);

/// A request that was not sent, because another process may be writing.
#[derive(Debug, thiserror::Error)]
#[error("this process does not hold the lease: nothing is written")]
pub(super) struct NotLeading;

impl Leadership {
    pub(super) fn new(held: watch::Receiver<Held>) -> Self {
        Self(held)
    }

    /// Of a process that runs alone.
    pub(in crate::operator) fn always() -> Self {
        Self(watch::channel(Held::Always).1)
    }

    /// Of a process that stands by.
    #[cfg(test)]
    pub(in crate::operator) fn never() -> Self {
        Self(watch::channel(Held::No).1)
    }

    /// Whether the lease is held at this moment: also a process that was stopped for a while, and
    /// goes on without knowing, is told no.
    pub(in crate::operator) fn holds(&self) -> bool {
        match *self.0.borrow() {
            Held::No => false,
            Held::Until(deadline) => Instant::now() < deadline,
            Held::Always => true,
        }
    }

    /// One item, when the lease is ours.
    pub(in crate::operator) fn began(&self) -> impl Stream<Item = ()> + Send + 'static {
        let mut held = self.0.clone();
        stream::once(async move { held.wait_for(|held| *held != Held::No).await.is_ok() })
            .filter_map(|began| std::future::ready(began.then_some(())))
    }

    /// The client, with everything but reading refused unless the lease is held: no part of the
    /// operator has to remember to ask. It is asked at each try, so that `client` must make one only:
    /// what is tried again may come after the lease was lost.
    pub(in crate::operator) fn fence(&self, client: &Client) -> Client {
        let leadership = self.clone();
        let namespace = client.default_namespace().to_owned();
        let client = client.clone();
        let service = tower::service_fn(move |request: hyper::Request<Body>| {
            let (client, leadership) = (client.clone(), leadership.clone());
            async move {
                if request.method() != Method::GET && !leadership.holds() {
                    return Err(tower::BoxError::from(NotLeading));
                }
                Ok(client.send(request).await?)
            }
        });
        cluster::retrying(service, namespace)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;

    use super::super::test_support::Server;
    use super::*;

    fn leadership(held: Held) -> (watch::Sender<Held>, Leadership) {
        let (sender, receiver) = watch::channel(held);
        (sender, Leadership::new(receiver))
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_it_without_anybody_saying_so() {
        let deadline = Instant::now() + Duration::from_secs(10);
        let (_sender, leadership) = leadership(Held::Until(deadline));
        assert!(leadership.holds());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!leadership.holds());
    }

    #[tokio::test]
    async fn without_the_lease_reading_is_allowed_and_writing_is_not() {
        let server = Server::default();
        let (sender, leadership) = leadership(Held::No);
        let api: Api<ConfigMap> = Api::namespaced(leadership.fence(&server.client()), "default");
        let map = ConfigMap::default();
        let refused = api.create(&kube::api::PostParams::default(), &map).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("does not hold the lease"), "{refused}");
        assert!(api.get_opt("settings").await.unwrap().is_none());
        assert_eq!(server.methods(), ["GET"]);

        sender.send_replace(Held::Always);
        let answered = api.create(&kube::api::PostParams::default(), &map).await;
        assert!(matches!(answered, Err(kube::Error::Api(_))), "{answered:?}");
        assert_eq!(server.methods(), ["GET", "POST"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_tried_again_after_the_lease_was_lost_is_not_sent() {
        let (sender, leadership) = leadership(Held::Always);
        let tries = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&tries);
        let sender = Arc::new(sender);
        let busy = tower::service_fn(move |_: hyper::Request<Body>| {
            count.fetch_add(1, Ordering::Relaxed);
            sender.send_replace(Held::No);
            let answer = hyper::Response::builder().status(503);
            std::future::ready(answer.body(Body::empty()))
        });
        let client = leadership.fence(&Client::new(busy, "default"));
        let api: Api<ConfigMap> = Api::namespaced(client, "default");
        let map = ConfigMap::default();
        let refused = api.create(&kube::api::PostParams::default(), &map).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("does not hold the lease"), "{refused}");
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_beginning_is_told_once() {
        let (sender, leadership) = leadership(Held::No);
        let mut began = Box::pin(leadership.began());
        assert!(futures::poll!(began.next()).is_pending());
        sender.send_replace(Held::Always);
        assert_eq!(began.next().await, Some(()));
        assert_eq!(began.next().await, None);
    }
}
