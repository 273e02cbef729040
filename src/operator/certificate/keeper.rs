//! Reading and writing what the plan is about, again and again, while leading.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use prometheus::{IntCounter, IntGauge, Registry};
use serde_json::json;
use tokio::time::Instant;

use super::inspect::{facts, split};
use super::issue::issue;
use super::plan::{Plan, plan};
use super::settling::Settling;
use super::stored::Stored;
use super::{Serving, change};
use crate::adapter::ownership;
use crate::operator::lease::Leadership;
use crate::runtime::clock::Clock;
use crate::runtime::meters::{counter, gauge};

/// Between two looks when nothing is to be done, and when something is or a look failed.
const CALM: Duration = Duration::from_secs(30);
const EAGER: Duration = Duration::from_secs(5);
/// One look, with what it writes.
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("the Secret is missing: the chart creates it, empty; run helm upgrade again")]
    MissSecret,
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    #[error("{0}")]
    Ask(#[from] kube::Error),
    #[error("the API server does not answer")]
    Wait,
}

/// What is counted about the certificate.
#[derive(Debug, Clone)]
pub struct CertificateMetrics {
    expiry: IntGauge,
    errors: IntCounter,
}

impl CertificateMetrics {
    /// Registers everything.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            expiry: gauge(
                registry,
                "cio_certificate_expiry_timestamp_seconds",
                "When the adapter's serving certificate expires; 0 in an operator that does not lead.",
            )?,
            errors: counter(
                registry,
                "cio_certificate_errors_total",
                "Looks at the adapter's serving certificate, and renewals, that failed.",
            )?,
        })
    }
}

/// Keeps the certificate valid.
pub(in crate::operator) struct Keeper {
    /// Writes only while leading.
    pub(in crate::operator) client: Client,
    pub(in crate::operator) serving: Serving,
    pub(in crate::operator) clock: Clock,
    pub(in crate::operator) metrics: CertificateMetrics,
}

impl Keeper {
    /// From the beginning of `leadership`; ends never.
    pub(in crate::operator) async fn run(self, leadership: Leadership) {
        if Box::pin(leadership.began()).next().await.is_none() {
            std::future::pending::<()>().await;
        }
        let mut settling = Settling::default();
        loop {
            let look = tokio::time::timeout(LIMIT, self.look(&mut settling)).await;
            let calm = look
                .unwrap_or(Err(KeepError::Wait))
                .unwrap_or_else(|error| {
                    self.metrics.errors.inc();
                    tracing::warn!(
                        k8s.secret = self.serving.secret,
                        error = %error,
                        "failed to keep the adapter's certificate"
                    );
                    false
                });
            tokio::time::sleep(if calm { CALM } else { EAGER }).await;
        }
    }

    /// Whether all is well for now.
    async fn look(&self, settling: &mut Settling) -> Result<bool, KeepError> {
        let secrets: Api<Secret> =
            Api::namespaced(self.client.clone(), &self.serving.service.namespace);
        let found = secrets.get_opt(&self.serving.secret).await?;
        let secret = found.ok_or(KeepError::MissSecret)?;
        let services = self.services().await?;
        let stored = Stored::read(&secret);
        let (bundle, now) = (stored.bundle(), Instant::now());
        let published = services.iter().all(|service| ca_bundle(service) == bundle);
        let settled = settling.is_over(&bundle, published, now);
        let stored = match self.changed(stored.clone(), &services, settled)? {
            Some(changed) => {
                let written = changed.write(secret);
                let name = &self.serving.secret;
                secrets
                    .replace(name, &PostParams::default(), &written)
                    .await?;
                changed
            }
            None => stored,
        };
        let told = self.publish(&stored, &services).await?;
        self.note_expiry(&stored);
        Ok(told == 0 && stored.next.is_none())
    }

    /// Our `APIService` objects, without those of somebody else.
    async fn services(&self) -> Result<Vec<APIService>, kube::Error> {
        let api: Api<APIService> = Api::all(self.client.clone());
        let mut ours = Vec::new();
        for name in self.serving.served.api_services() {
            let found = api.get_opt(&name).await?;
            ours.extend(found.filter(|found| ownership::is_ours(found, &self.serving.service)));
        }
        Ok(ours)
    }

    /// The contents to write, where there is something to do.
    fn changed(
        &self,
        stored: Stored,
        services: &[APIService],
        settled: bool,
    ) -> Result<Option<Stored>, rcgen::Error> {
        let (now, names) = (self.clock.now(), self.serving.names());
        let (changed, what) = match plan(&stored, &names, settled, now) {
            Plan::Rest => return Ok(None),
            Plan::Issue => {
                let known: Vec<_> = services
                    .iter()
                    .flat_map(|service| split(&ca_bundle(service)))
                    .collect();
                let new = issue(&names, now)?;
                (change::issued(&stored, &known, new, now), "issued")
            }
            Plan::Stage => (change::staged(stored, issue(&names, now)?), "staged"),
            Plan::Promote => (change::promoted(stored), "renewed"),
        };
        tracing::info!(
            k8s.secret = self.serving.secret,
            step = what,
            "the adapter's certificate changes"
        );
        Ok(Some(changed))
    }

    /// Says in every `APIService` of ours whom to believe; how many had to be told.
    async fn publish(&self, stored: &Stored, services: &[APIService]) -> Result<u32, kube::Error> {
        let api: Api<APIService> = Api::all(self.client.clone());
        let bundle = stored.bundle();
        let mut told = 0;
        for service in services
            .iter()
            .filter(|service| ca_bundle(service) != bundle)
        {
            // With its version, so that one that became somebody else's in the meantime stays theirs.
            let patch = json!({
                "metadata": {"resourceVersion": service.metadata.resource_version},
                "spec": {"caBundle": ByteString(bundle.as_bytes().to_vec())},
            });
            let params = PatchParams::apply(crate::operator::FIELD_MANAGER);
            api.patch(&service.name_any(), &params, &Patch::Merge(patch))
                .await?;
            told += 1;
        }
        Ok(told)
    }

    fn note_expiry(&self, stored: &Stored) {
        let pair = stored.current.as_ref();
        if let Some(facts) = pair.and_then(|pair| facts(&pair.certificate)) {
            self.metrics.expiry.set(facts.not_after.as_second());
        }
    }
}

fn ca_bundle(service: &APIService) -> String {
    let spec = service.spec.as_ref();
    let bundle = spec.and_then(|spec| spec.ca_bundle.as_ref());
    bundle.map_or_else(String::new, |bundle| {
        String::from_utf8_lossy(&bundle.0).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use hyper::{Method, Request, Response};
    use jiff::Timestamp;
    use kube::client::Body;
    use serde_json::Value;

    use super::super::{RENEWAL, SETTLE};
    use super::*;
    use crate::adapter::ownership::ServiceName;
    use crate::adapter::{MetricsApi, Served};

    const SECRET: &str = "/api/v1/namespaces/cio/secrets/serving";
    const OURS: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.custom.metrics.k8s.io";
    const THEIRS: &str =
        "/apis/apiregistration.k8s.io/v1/apiservices/v1beta2.custom.metrics.k8s.io";

    #[derive(Clone, Default)]
    struct Server(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        /// By their paths.
        objects: BTreeMap<String, Value>,
        written: Vec<String>,
        /// Whether an `APIService` cannot be written.
        refuses: bool,
    }

    impl Server {
        fn new() -> Self {
            let server = Self::default();
            let service = |name: &str, owner: &str| {
                json!({
                    "metadata": {"name": name, "resourceVersion": "1"},
                    "spec": {
                        "groupPriorityMinimum": 100, "versionPriority": 100,
                        "service": {"namespace": "cio", "name": owner},
                    },
                })
            };
            let secret = json!({"metadata": {"name": "serving", "resourceVersion": "1"}});
            let ours = service("v1beta1.custom.metrics.k8s.io", "adapter");
            let theirs = service("v1beta2.custom.metrics.k8s.io", "prometheus-adapter");
            for (path, object) in [(SECRET, secret), (OURS, ours), (THEIRS, theirs)] {
                server
                    .0
                    .lock()
                    .unwrap()
                    .objects
                    .insert(path.to_owned(), object);
            }
            server
        }

        fn answer(&self, method: &Method, path: &str, sent: &Value) -> (u16, Value) {
            let State {
                objects,
                written,
                refuses,
            } = &mut *self.0.lock().unwrap();
            if *refuses && *method == Method::PATCH {
                return (500, json!({}));
            }
            let object = objects.get_mut(path).expect("a path that is known");
            if *method == Method::GET {
                return (200, object.clone());
            }
            written.push(format!("{method} {path}"));
            assert_eq!(
                sent["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"],
                "an update names what it was made from"
            );
            match *method {
                Method::PUT => object.clone_from(sent),
                _ => object["spec"]["caBundle"] = sent["spec"]["caBundle"].clone(),
            }
            object["metadata"]["resourceVersion"] = json!(written.len().to_string() + "-new");
            (200, object.clone())
        }

        async fn look(&self, settling: &mut Settling, at: Timestamp) -> bool {
            self.try_look(settling, at).await.unwrap()
        }

        async fn try_look(
            &self,
            settling: &mut Settling,
            at: Timestamp,
        ) -> Result<bool, KeepError> {
            let server = self.clone();
            let service = tower::service_fn(move |request: Request<Body>| {
                let server = server.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let sent = body.collect_bytes().await?;
                    let sent = serde_json::from_slice(&sent).unwrap_or_default();
                    let (code, answer) = server.answer(&head.method, head.uri.path(), &sent);
                    let body = Body::from(serde_json::to_vec(&answer).unwrap());
                    let response = Response::builder().status(code).body(body).unwrap();
                    Ok::<_, kube::Error>(response)
                }
            });
            let keeper = Keeper {
                client: Client::new(service, "default"),
                serving: Serving {
                    service: ServiceName {
                        namespace: "cio".to_owned(),
                        name: "adapter".to_owned(),
                    },
                    secret: "serving".to_owned(),
                    served: Served::new(&[MetricsApi::Custom]),
                },
                clock: Clock::fixed(at),
                metrics: CertificateMetrics::new(&Registry::new()).unwrap(),
            };
            keeper.look(settling).await
        }

        fn get(&self, path: &str) -> Value {
            self.0.lock().unwrap().objects[path].clone()
        }

        /// What was written since the last time.
        fn written(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap().written)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_lives_on_and_the_api_service_of_somebody_else_is_never_written() {
        let server = Server::new();
        let settling = &mut Settling::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let theirs = server.get(THEIRS);
        let (secret, ours) = (format!("PUT {SECRET}"), format!("PATCH {OURS}"));

        assert!(!server.look(settling, start).await);
        assert_eq!(server.written(), [secret.clone(), ours.clone()], "issued");
        let first = server.get(SECRET)["data"].clone();
        assert_eq!(server.get(OURS)["spec"]["caBundle"], first["ca.crt"]);
        assert!(server.look(settling, start).await, "all is well");
        assert!(server.written().is_empty());

        let due = start + RENEWAL;
        assert!(!server.look(settling, due).await);
        assert_eq!(server.written(), [secret.clone(), ours], "staged, and told");
        let staged = server.get(SECRET)["data"].clone();
        assert_eq!(staged["tls.crt"], first["tls.crt"]);
        assert_eq!(server.get(OURS)["spec"]["caBundle"], staged["ca.crt"]);
        assert!(
            !server.look(settling, due).await,
            "there is something to wait for"
        );
        assert!(server.written().is_empty());

        tokio::time::advance(SETTLE).await;
        server.look(settling, due + SETTLE).await;
        assert_eq!(server.written(), [secret], "renewed");
        let renewed = server.get(SECRET)["data"].clone();
        assert_eq!(renewed["tls.crt"], staged["next.crt"]);
        assert_eq!(renewed["ca.crt"], staged["ca.crt"]);
        assert!(renewed.get("next.key").is_none());
        assert!(server.look(settling, due + SETTLE).await);
        assert_eq!(server.get(THEIRS), theirs);
    }
    #[tokio::test(start_paused = true)]
    async fn a_bundle_that_was_published_late_or_by_another_leader_settles_all_the_same() {
        let server = Server::new();
        let settling = &mut Settling::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        server.look(settling, start).await;
        server.look(settling, start).await;
        let due = start + RENEWAL;
        server.0.lock().unwrap().refuses = true;
        assert!(
            server.try_look(settling, due).await.is_err(),
            "staged, not told"
        );
        tokio::time::advance(SETTLE * 4).await;
        server.0.lock().unwrap().refuses = false;
        let late = due + SETTLE * 4;
        server.look(settling, late).await;
        let staged = server.get(SECRET);
        server.look(settling, late).await;
        tokio::time::advance(SETTLE / 2).await;
        server.look(settling, late + SETTLE / 2).await;
        assert_eq!(
            server.get(SECRET),
            staged,
            "API servers may not have read it"
        );
        let anew = &mut Settling::default();
        tokio::time::advance(SETTLE / 2).await;
        server.look(anew, late + SETTLE).await;
        assert_eq!(server.get(SECRET), staged, "a new leader saw nothing yet");
        server.look(settling, late + SETTLE).await;
        assert_ne!(server.get(SECRET), staged, "renewed");
    }
}
