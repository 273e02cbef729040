//! A client of the cluster whose requests are counted, each try of one.

use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{Method, Request, Response, Uri};
use futures::future::BoxFuture;
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder};
use kube::config::InferConfigError;
use kube::{Client, Config};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use tokio::time::{Instant, error::Elapsed, timeout};
use tower::layer::layer_fn;
use tower::retry::Retry;
use tower::{BoxError, Service, service_fn};

use super::meters::register;

/// Upper bounds in seconds.
const SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// What a request can be, in the words of RBAC.
const VERBS: [&str; 8] = [
    "get", "list", "watch", "create", "update", "patch", "delete", "other",
];
/// The code of a request that was not answered.
const NO_ANSWER: &str = "none";
/// To the head of an answer, beyond the minute that the API server gives itself. Longer takes only a
/// connection that was lost in silence.
const ANSWER: Duration = Duration::from_secs(65);
/// The same for a watch, whose head comes at once: until then what it tells of is not known.
const WATCH_BEGINS: Duration = Duration::from_secs(20);

/// Objects in one page of a list. It bounds what is in memory untrimmed: who manages which field, which
/// nobody here reads, is most of an object as it is parsed.
pub const PAGE: u32 = 50;

/// The first and the longest wait before a request is tried again.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
const TRIES_AGAIN: u32 = 5;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a pod's service account nor a kubeconfig.
    #[error("cannot find a cluster: run in a pod, or set KUBECONFIG: {0}")]
    FindCluster(#[from] InferConfigError),
    /// What was found cannot be used.
    #[error("cannot make a client of the cluster: {0}")]
    MakeClient(#[from] kube::Error),
    /// A metric's name is taken.
    #[error("cannot register metrics: {0}")]
    RegisterMetrics(#[from] prometheus::Error),
}

/// Whether the API server has said no for good: no right to it, or nothing of the kind. Of a namespace
/// that is deleted it says the former, for the right was in it.
pub fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 403 | 404))
}

/// A client of the cluster around (a pod's service account, or KUBECONFIG), counted in `registry`,
/// that tries each request once.
///
/// # Errors
/// When there is no cluster, or `registry` has the metrics already.
pub async fn client(registry: &Registry) -> Result<Client, ClusterError> {
    let mut config = Config::infer().await?;
    config.default_retry = false;
    let metrics = RequestMetrics::new(registry)?;
    let builder = ClientBuilder::try_from(config)?;
    let counted = layer_fn(move |inner| Counted {
        inner,
        metrics: metrics.clone(),
    });
    Ok(builder.with_layer(&counted).build())
}

/// The same client, trying again what the API server is too busy for.
pub fn persistent(client: &Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let client = client.clone();
    let once = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move { client.send(request).await.map_err(BoxError::from) }
    });
    retrying(once, namespace)
}

/// A client of `service`, trying again what it answers with 429, 503 or 504. What has to hold at
/// each try, as a right to write, is for `service` to ask.
pub fn retrying<S>(service: S, namespace: String) -> Client
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    Client::new(Retry::new(again(), service), namespace)
}

/// kube's own policy sleeps for minutes in all: a watch that is refused so long says nothing meanwhile,
/// and a reconcile keeps its place. Whoever asked has a backoff of its own for what lasts longer.
fn again() -> RetryPolicy {
    let (first, longest) = TRY_AGAIN;
    RetryPolicy::new(first, longest, TRIES_AGAIN, true)
        // Refused only where the first wait is longer than the longest.
        .unwrap_or_else(|_| RetryPolicy::server_retry())
}

/// What is counted of requests to the API server.
#[derive(Debug, Clone)]
pub struct RequestMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl RequestMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is taken in `registry`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "cio_kubernetes_requests_total",
                "Requests to the API server by verb and code, each try of one; code none: no answer.",
            ),
            &["verb", "code"],
        )?;
        let duration = HistogramVec::new(
            HistogramOpts::new(
                "cio_kubernetes_request_duration_seconds",
                "From a request to the API server to the head of its answer.",
            )
            .buckets(SECONDS.to_vec()),
            &["verb"],
        )?;
        for verb in VERBS {
            requests.with_label_values(&[verb, "200"]);
            duration.with_label_values(&[verb]);
        }
        Ok(Self {
            requests: register(registry, requests)?,
            duration: register(registry, duration)?,
        })
    }

    fn answered(&self, verb: &'static str, code: &str, took: Duration) {
        self.requests.with_label_values(&[verb, code]).inc();
        self.duration
            .with_label_values(&[verb])
            .observe(took.as_secs_f64());
    }
}

/// Counts what passes.
#[derive(Debug, Clone)]
struct Counted<S> {
    inner: S,
    metrics: RequestMetrics,
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: From<Elapsed> + Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let verb = verb(request.method(), request.uri());
        let metrics = self.metrics.clone();
        let started = Instant::now();
        let limit = if verb == "watch" {
            WATCH_BEGINS
        } else {
            ANSWER
        };
        let answer = timeout(limit, self.inner.call(request));
        Box::pin(async move {
            let answer = answer.await.unwrap_or_else(|elapsed| Err(elapsed.into()));
            let code = answer.as_ref().ok().map(Response::status);
            let code = code.as_ref().map_or(NO_ANSWER, |code| code.as_str());
            metrics.answered(verb, code, started.elapsed());
            answer
        })
    }
}

/// The verb that RBAC would check.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    match method.as_str() {
        "GET" if watches(uri.query().unwrap_or_default()) => "watch",
        "GET" if is_collection(uri.path()) => "list",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "other",
    }
}

fn watches(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"))
}

/// Whether a path is that of a resource and not of one object:
/// `/api/v1/pods`, `/apis/apps/v1/namespaces/a/deployments`.
fn is_collection(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (["api", _, resource @ ..] | ["apis", _, _, resource @ ..]) = parts.as_slice() else {
        return false;
    };
    matches!(resource, [_] | ["namespaces", _, _])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_request_has_the_verb_that_rbac_would_check() {
        let cases = [
            ("GET", "/api/v1/pods", "list"),
            ("GET", "/api/v1/namespaces/a/pods?limit=500", "list"),
            ("GET", "/api/v1/namespaces/a/pods?watch=true&a=b", "watch"),
            ("GET", "/api/v1/namespaces/a/pods/b", "get"),
            ("GET", "/api/v1/namespaces/a", "get"),
            ("GET", "/api/v1/namespaces", "list"),
            ("GET", "/apis/cio.dev/v1alpha1/ciopipelines", "list"),
            (
                "GET",
                "/apis/apps/v1/namespaces/a/deployments/b/scale",
                "get",
            ),
            ("GET", "/version", "get"),
            (
                "POST",
                "/apis/events.k8s.io/v1/namespaces/a/events",
                "create",
            ),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b", "patch"),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
                "update",
            ),
            (
                "DELETE",
                "/apis/autoscaling/v2/namespaces/a/horizontalpodautoscalers/b",
                "delete",
            ),
            ("HEAD", "/healthz", "other"),
        ];
        for (method, path, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(
                verb(&method, &path.parse().unwrap()),
                expected,
                "{method} {path}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_is_counted_also_one_without_an_answer() {
        let metrics = RequestMetrics::new(&Registry::new()).unwrap();
        let answer = |request: Request<()>| async move {
            match request.uri().path() {
                "/broken" => Err(BoxError::from("broken")),
                "/silent" => std::future::pending().await,
                _ => Ok(Response::builder().status(404).body(()).unwrap()),
            }
        };
        let mut counted = Counted {
            inner: service_fn(answer),
            metrics: metrics.clone(),
        };
        for path in ["/api/v1/pods", "/broken", "/silent", "/silent?watch=true"] {
            drop(counted.call(Request::get(path).body(()).unwrap()).await);
        }
        let count = |verb, code| metrics.requests.with_label_values(&[verb, code]).get();
        assert_eq!((count("list", "404"), count("get", NO_ANSWER)), (1, 2));
        assert_eq!(count("watch", NO_ANSWER), 1);
        assert_eq!(count("list", "200"), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_too_busy_is_told_of_within_seconds() {
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        let busy = service_fn(move |_: Request<Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = Response::builder().status(503).body(Body::empty());
            async move { answer.map_err(BoxError::from) }
        });
        let client = retrying(busy, "default".to_owned());
        let began = Instant::now();
        let request = Request::get("/api/v1/pods").body(Body::empty()).unwrap();
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status(), 503);
        assert!(tries.load(Ordering::Relaxed) > 1, "it is tried again");
        let took = began.elapsed();
        assert!(took < WATCH_BEGINS, "{took:?}");
    }
}
