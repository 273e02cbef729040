//! One request after the other: read it, know the caller, answer. Every answer within 2 s.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer;
use super::auth::Gatekeeper;
use super::auth::review::{Access, Reviewer};
use super::auth::trust::Trust;
use super::documents;
use super::gate::Gate;
use super::groups::{CUSTOM_METRICS, EXTERNAL_METRICS, Group, METRIC, Served};
use super::hold::Holds;
use super::metrics::AdapterMetrics;
use super::pod_client::PodClient;
use super::pods::PodStore;
use super::readings::Readings;
use super::refusal::Refusal;
use super::request::{self, ApiPage, CustomVersion, ExternalMetric, Page, PodMetric, Target};
use crate::runtime::clock::Clock;
use crate::runtime::tls::server::{KnownCaller, PeerCertificates};

/// A request that takes longer is refused: a controller that waits knows less than one that is
/// told "not now".
const LIMIT: Duration = Duration::from_millis(1900);

/// What the answers are made from. A caller supplies it, so that tests can.
#[derive(Debug)]
pub struct Sources {
    /// What it answers for.
    pub served: Served,
    /// Whether to answer at all.
    pub gate: watch::Receiver<Gate>,
    /// Whose certificates are believed.
    pub trust: watch::Receiver<Arc<Trust>>,
    /// Who tells about tokens and rights.
    pub reviewer: Arc<dyn Reviewer>,
    /// The worker pods.
    pub pods: Arc<PodStore>,
    /// The pipelines that hold while the limit is used up.
    pub holds: Arc<Holds>,
    /// Who asks the sidecars.
    pub client: PodClient,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: AdapterMetrics,
}

#[derive(Debug)]
struct Server {
    served: Served,
    gate: watch::Receiver<Gate>,
    gatekeeper: Gatekeeper,
    pods: Arc<PodStore>,
    holds: Arc<Holds>,
    readings: Readings,
    metrics: AdapterMetrics,
}

/// The API server's pages; to be served over TLS, which adds each request's [`PeerCertificates`].
pub fn router(sources: Sources) -> Router {
    let Sources {
        served,
        gate,
        trust,
        reviewer,
        pods,
        holds,
        client,
        clock,
        metrics,
    } = sources;
    let server = Server {
        served,
        gate,
        gatekeeper: Gatekeeper::new(trust, reviewer, clock.clone(), metrics.clone()),
        pods,
        holds,
        readings: Readings::new(client, clock, metrics.clone()),
        metrics,
    };
    Router::new().fallback(handle).with_state(Arc::new(server))
}

async fn handle(
    State(server): State<Arc<Server>>,
    Extension(peer): Extension<PeerCertificates>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let page = request::parse(request.method(), request.uri(), &server.served);
    let answer = server.answer(page, &peer, request.headers());
    let answer = tokio::time::timeout(LIMIT, answer)
        .await
        .unwrap_or_else(|_| Err(Refusal::Unavailable(format!("no answer within {LIMIT:?}"))));
    let response = answer.unwrap_or_else(|refusal| {
        tracing::debug!(code = refusal.code().as_u16(), reason = %refusal, "request refused");
        (refusal.code(), Json(refusal.document())).into_response()
    });
    let code = response.status();
    server.metrics.request(code.as_str(), started.elapsed());
    response
}

impl Server {
    async fn answer(
        &self,
        page: Result<Page, Refusal>,
        peer: &PeerCertificates,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let page = match page {
            Ok(Page::Alive) => return Ok("ok\n".into_response()),
            Ok(Page::Ready) => return Ok(self.ready()),
            Ok(Page::Api(page)) => Ok(page),
            Err(refusal) => Err(refusal),
        };
        self.open(page.as_ref().ok().and_then(ApiPage::group))?;
        let caller = self.gatekeeper.identify(peer, headers).await?;
        let document = match page? {
            // Discovery says nothing that this program's documentation does not say: who is known
            // may read it.
            ApiPage::Groups => documents::group_list(&self.served),
            ApiPage::Group(group) => documents::group(group),
            ApiPage::Resources(group, version) => documents::resource_list(group, version),
            ApiPage::PodMetric(asked) => {
                self.gatekeeper.authorize(caller, access(&asked)).await?;
                let items = answer::pod_metric(&self.sources(), &asked).await?;
                documents::metric_value_list(asked.version, &items)
            }
            ApiPage::ExternalMetric(asked) => {
                let access = external_access(&asked);
                self.gatekeeper.authorize(caller, access).await?;
                let totals = answer::external_metric(&self.sources(), &asked).await;
                documents::external_metric_value_list(&totals)
            }
        };
        Ok((Extension(KnownCaller), Json(document)).into_response())
    }

    fn sources(&self) -> answer::Sources<'_> {
        answer::Sources {
            pods: &self.pods,
            readings: &self.readings,
            holds: &self.holds,
        }
    }

    fn ready(&self) -> Response {
        match self.open(None) {
            Ok(()) => "ok\n".into_response(),
            Err(refusal) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("{refusal}\n")).into_response()
            }
        }
    }

    /// Whether questions about `group` are answered; without one, any at all.
    fn open(&self, group: Option<&Group>) -> Result<(), Refusal> {
        let gate = self.gate.borrow();
        match group {
            Some(group) => gate.admits(group),
            None => gate.admits_any(&self.served),
        }
    }
}

/// What a question is, in the words of a `SubjectAccessReview`.
fn access(asked: &PodMetric) -> Access {
    Access {
        verb: "get",
        group: CUSTOM_METRICS.name,
        version: match asked.version {
            CustomVersion::V1beta2 => "v1beta2",
            CustomVersion::V1beta1 => "v1beta1",
        },
        namespace: asked.namespace.clone(),
        resource: "pods",
        subresource: METRIC,
        name: match &asked.target {
            Target::Selected(_) => "*".to_owned(),
            Target::Named(name) => name.clone(),
        },
    }
}

/// The API server takes a `GET` without a name behind the resource for a list.
fn external_access(asked: &ExternalMetric) -> Access {
    Access {
        verb: "list",
        group: EXTERNAL_METRICS.name,
        version: "v1beta1",
        namespace: asked.namespace.clone(),
        resource: METRIC,
        subresource: "",
        name: String::new(),
    }
}
