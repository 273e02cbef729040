//! Telling people: an event whenever `Ready` reads differently.

use std::sync::{Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource, ResourceExt};

use crate::api::CioPipeline;

/// The recorder keeps each event of the last six minutes whole, so that the same one again is counted
/// and not another object. A thousand of them, as a thousand new pipelines make, take megabytes: after
/// so many it forgets them all, and what is told again is another object.
const MOST_KEPT: u32 = 64;

/// Publishes events, and remembers a few, so that the same one again is counted.
pub(super) struct Events {
    client: Client,
    kept: Mutex<Kept>,
}

struct Kept {
    recorder: Recorder,
    events: u32,
}

impl Events {
    pub(super) fn new(client: Client) -> Self {
        let kept = Kept {
            recorder: recorder(&client),
            events: 0,
        };
        Self {
            client,
            kept: Mutex::new(kept),
        }
    }

    /// Publishes the change. An event is a courtesy: that it could not be sent is logged, no more.
    pub(super) async fn publish(&self, pipeline: &CioPipeline, ready: &Condition) {
        let kind = if ready.status == "False" {
            EventType::Warning
        } else {
            EventType::Normal
        };
        let event = Event {
            type_: kind,
            reason: ready.reason.clone(),
            note: Some(ready.message.clone()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let recorder = self.recorder();
        if let Err(error) = recorder.publish(&event, &pipeline.object_ref(&())).await {
            tracing::warn!(
                k8s.namespace = pipeline.namespace(),
                k8s.name = pipeline.name_any(),
                error = %error,
                "failed to publish an event"
            );
        }
    }

    /// The recorder for one more event.
    fn recorder(&self) -> Recorder {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.events == MOST_KEPT {
            kept.recorder = recorder(&self.client);
            kept.events = 0;
        }
        kept.events += 1;
        kept.recorder.clone()
    }
}

fn recorder(client: &Client) -> Recorder {
    let reporter = Reporter {
        controller: "cio-operator".to_owned(),
        instance: None,
    };
    Recorder::new(client.clone(), reporter)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::{Method, Request, Response};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use kube::client::Body;

    use super::super::test_support::pipeline;
    use super::*;

    /// An API server that takes every event, and tells by which method it came.
    fn server() -> (Client, Arc<Mutex<Vec<Method>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let methods = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            methods.lock().unwrap().push(request.method().clone());
            async move {
                let body = request.into_body().collect_bytes().await?;
                Ok::<_, kube::Error>(Response::new(Body::from(body)))
            }
        });
        (Client::new(service, "default"), asked)
    }

    fn ready(status: &str) -> Condition {
        Condition {
            type_: "Ready".to_owned(),
            status: status.to_owned(),
            reason: "Because".to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[tokio::test]
    async fn the_same_event_again_is_counted_until_so_many_others_came() {
        let (client, asked) = server();
        let events = Events::new(client);
        let mut pipeline = pipeline("");
        let taken = || std::mem::take(&mut *asked.lock().unwrap());
        events.publish(&pipeline, &ready("True")).await;
        events.publish(&pipeline, &ready("True")).await;
        assert_eq!(taken(), [Method::POST, Method::PATCH]);
        for number in 2..MOST_KEPT {
            pipeline.metadata.name = Some(format!("other-{number}"));
            events.publish(&pipeline, &ready("True")).await;
        }
        taken();
        pipeline.metadata.name = Some("events".to_owned());
        events.publish(&pipeline, &ready("True")).await;
        assert_eq!(taken(), [Method::POST]);
    }
}
