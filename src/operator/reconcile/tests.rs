use std::sync::PoisonError;

use hyper::{Method, Request, Response};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use prometheus::Registry;
use serde_json::{Value, json};

use super::super::budget::Rate;
use super::super::caches::test_support::holding;
use super::super::test_support::{pipeline, settings};
use super::*;

/// An API server that says yes to everything, and keeps what it was asked.
#[derive(Debug, Clone, Default)]
struct Server {
    asked: Arc<Mutex<Vec<(Method, String, Value)>>>,
    /// What is there already, by the end of its path.
    there: Arc<Mutex<HashMap<&'static str, Value>>>,
    /// What may not be written, by the end of its path, and what is said of that.
    forbidden: Arc<Mutex<Option<(&'static str, &'static str)>>>,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let (code, answer) = server.answer(head.method, head.uri.path(), body);
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                let response = Response::builder().status(code).body(body).unwrap();
                Ok::<_, kube::Error>(response)
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let there = self.there.lock().unwrap();
        let found = there.iter().find(|(end, _)| path.ends_with(**end));
        let answer = match (&method, found) {
            (&Method::GET, Some((_, object))) => (200, object.clone()),
            (&Method::GET, None) => {
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "there is none", "reason": "NotFound", "code": 404,
                });
                (404, status)
            }
            _ => self.written_or_forbidden(path, &body),
        };
        let mut asked = self.asked.lock().unwrap();
        asked.push((method, path.to_owned(), body));
        answer
    }

    fn written_or_forbidden(&self, path: &str, body: &Value) -> (u16, Value) {
        match *self.forbidden.lock().unwrap() {
            Some((end, message)) if path.ends_with(end) => {
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": message, "reason": "Forbidden", "code": 403,
                });
                (403, status)
            }
            _ => (200, body.clone()),
        }
    }

    /// What was asked since the last time, and what was sent with it.
    fn take(&self) -> Vec<(Method, String, Value)> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut asked)
    }

    /// The body of the one write to a path that ends so.
    fn written(asked: &[(Method, String, Value)], end: &str) -> Value {
        let mut writes = asked
            .iter()
            .filter(|(method, path, _)| *method == Method::PATCH && path.ends_with(end));
        let (_, _, body) = writes.next().unwrap();
        assert!(writes.next().is_none(), "{end} is written twice");
        body.clone()
    }
}

fn context_with(server: &Server, objects: &[Value]) -> Arc<Context> {
    context_in(&Registry::new(), server, objects)
}

fn context_in(registry: &Registry, server: &Server, objects: &[Value]) -> Arc<Context> {
    let client = server.client();
    let rate = Rate {
        per_second: 1.0,
        at_once: 1.0,
    };
    let caches = holding(objects);
    Arc::new(Context {
        events: Arc::new(Events::new(client.clone())),
        client,
        everywhere: Everywhere::of([&caches]),
        caches,
        settled: Settled::default(),
        told: Told::default(),
        limits: Limits::default(),
        turns: Turns::default(),
        pods: PodClient::new().unwrap(),
        clock: Clock::system(),
        settings: settings(),
        metrics: Metrics::new(registry).unwrap(),
        number_writes: Arc::new(Budget::new(rate, Instant::now())),
        failures: Mutex::default(),
        leadership: Leadership::always(),
    })
}

fn guarded(pipeline: &CioPipeline) -> Arc<Guarded> {
    Arc::new(DeserializeGuard(Ok(pipeline.clone())))
}

#[test]
fn looks_for_nothing_yield_to_what_changed_where_there_are_many_or_they_take_long() {
    // the look took so many ms, pipelines → seconds
    for (took, pipelines, seconds) in [
        (5, 1, 10),
        (5, 250, 10),
        (5, 1000, 40),
        (2000, 1, 40),
        (5, 1_000_000, 120),
        (60_000, 1, 120),
    ] {
        let found = resync(Duration::from_millis(took), pipelines);
        assert_eq!(
            found,
            Duration::from_secs(seconds),
            "{took} ms, {pipelines}"
        );
    }
}

#[test]
fn pipelines_that_were_looked_at_together_are_not_the_next_time() {
    let wait = Duration::from_secs(40);
    let looks: Vec<_> = (0..100).map(|_| scattered(wait)).collect();
    let window = wait..=Duration::from_secs(50);
    assert!(looks.iter().all(|look| window.contains(look)), "{looks:?}");
    let middle = Duration::from_secs(45);
    let early = looks.iter().filter(|look| **look < middle).count();
    assert!(
        (10..=90).contains(&early),
        "{early} of 100 in the first half"
    );
}

#[tokio::test(start_paused = true)]
async fn with_watch_namespaces_the_pipelines_of_all_of_them_count() {
    let server = Server::default();
    let scope = |namespace: &str| {
        let deployments = (0..500).map(|number| {
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": format!("p{number}-worker"), "namespace": namespace},
                "spec": {"selector": {}, "template": {}},
            })
        });
        holding(&deployments.collect::<Vec<_>>())
    };
    let mut context = context_with(&server, &[]);
    let shop = scope("shop");
    let own = Arc::get_mut(&mut context).unwrap();
    own.everywhere = Everywhere::of([&shop, &scope("other")]);
    own.caches = shop;
    let pipeline = pipeline("");
    let done = reconcile(guarded(&pipeline), Arc::clone(&context)).await;
    let due = context.metrics.due(&pipeline.uid().unwrap()).unwrap();
    assert_eq!(done.unwrap(), Action::requeue(due));
    // Those of one namespace alone would come back after 20 to 25 s.
    let window = RESYNC_EACH * 1000..=RESYNC_EACH * 1250;
    assert!(window.contains(&due), "{due:?}");
}

#[tokio::test]
async fn a_pipeline_that_is_as_it_should_be_costs_the_api_server_no_request() {
    let server = Server::default();
    let mut pipeline = pipeline("");
    let context = context_with(&server, &[]);
    let done = reconcile(guarded(&pipeline), context).await;
    assert!(done.is_ok(), "{done:?}");
    let asked = server.take();
    let ends = [
        "serviceaccounts",
        "poddisruptionbudgets",
        "deployments",
        "horizontalpodautoscalers",
    ]
    .map(|kind| format!("{kind}/events-worker"));
    let mut objects = ends.map(|end| Server::written(&asked, &end));
    let status = Server::written(&asked, "ciopipelines/events/status");
    pipeline.status = serde_json::from_value(status["status"].clone()).unwrap();

    // As the caches have it then.
    objects[2]["spec"]["replicas"] = json!(2);
    let context = context_with(&server, &objects);
    for round in 0..3 {
        let done = reconcile(guarded(&pipeline), Arc::clone(&context)).await;
        assert!(done.is_ok(), "{done:?}");
        let mut asked = server.take();
        if round == 0 {
            // Most clusters have no such resource to watch, so that is asked once.
            asked.retain(|(_, path, _)| !path.contains("podmonitors"));
        }
        assert!(asked.is_empty(), "round {round}: {asked:#?}");
    }
}

#[tokio::test]
async fn a_suspended_pipeline_that_is_as_it_should_be_costs_no_request_either() {
    let server = Server::default();
    let mut pipeline = pipeline("  suspend: true\n");
    let context = context_with(&server, &[]);
    let done = reconcile(guarded(&pipeline), context).await;
    assert!(done.is_ok(), "{done:?}");
    let asked = server.take();
    let ends = ["serviceaccounts", "poddisruptionbudgets", "deployments"]
        .map(|kind| format!("{kind}/events-worker"));
    let mut objects = ends.map(|end| Server::written(&asked, &end));
    let status = Server::written(&asked, "ciopipelines/events/status");
    pipeline.status = serde_json::from_value(status["status"].clone()).unwrap();

    objects[2]["spec"]["replicas"] = json!(0);
    let context = context_with(&server, &objects);
    for round in 0..3 {
        let done = reconcile(guarded(&pipeline), Arc::clone(&context)).await;
        assert!(done.is_ok(), "{done:?}");
        let asked = server.take();
        // There is no HPA and no PodMonitor: whether somebody else has one is asked once.
        let paths: Vec<&str> = asked.iter().map(|(_, path, _)| path.as_str()).collect();
        let hpas = paths.iter().filter(|it| it.contains("autoscalers")).count();
        assert_eq!(hpas, usize::from(round == 0), "round {round}: {paths:?}");
        assert!(round == 0 || asked.is_empty(), "round {round}: {paths:?}");
    }

    // What it becomes is looked at anew.
    pipeline.spec.suspend = false;
    pipeline.metadata.generation = Some(2);
    let done = reconcile(guarded(&pipeline), context).await;
    assert!(done.is_ok(), "{done:?}");
    let asked = server.take();
    let looked = asked
        .iter()
        .any(|(method, path, _)| *method == Method::GET && path.contains("autoscalers"));
    assert!(looked, "{asked:#?}");
}

#[tokio::test]
async fn a_right_that_the_operator_lost_is_in_the_status_and_counts_as_its_failure() {
    let forbidden = "deployments.apps \"events-worker\" is forbidden: User \"them\" cannot patch \
                     resource \"deployments\" in API group \"apps\" in the namespace \"shop\"";
    let quota = "deployments.apps \"events-worker\" is forbidden: exceeded quota: few";
    for (message, reason, result) in [
        (forbidden, "OperatorForbidden", "forbidden"),
        (quota, "ApplyRefused", "refused"),
    ] {
        let server = Server::default();
        *server.forbidden.lock().unwrap() = Some(("deployments/events-worker", message));
        let registry = Registry::new();
        let context = context_in(&registry, &server, &[]);
        let done = reconcile(guarded(&pipeline("")), context).await;
        assert!(done.is_ok(), "{done:?}");
        let status = Server::written(&server.take(), "ciopipelines/events/status");
        let ready = &status["status"]["conditions"][0];
        assert_eq!(ready["reason"], reason);
        let said = ready["message"].as_str().unwrap();
        assert!(said.contains(message), "{said}");
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let series = format!("cio_operator_reconciles_total{{result=\"{result}\"}} 1");
        assert!(text.contains(&series), "{series}\n{text}");
    }
}

#[tokio::test]
async fn what_is_not_in_the_caches_may_be_somebody_elses_and_is_left_alone() {
    let server = Server::default();
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "events-worker", "namespace": "shop"},
        "spec": {"selector": {}, "template": {}},
    });
    let parsed: Result<Deployment, _> = serde_json::from_value(theirs.clone());
    assert!(parsed.is_ok(), "{parsed:?}");
    let path = "deployments/events-worker";
    server.there.lock().unwrap().insert(path, theirs);
    let context = context_with(&server, &[]);
    let done = reconcile(guarded(&pipeline("")), context).await;
    assert!(done.is_ok(), "{done:?}");
    let asked = server.take();
    let writes = asked.iter().filter(|(method, ..)| *method != Method::GET);
    let paths: Vec<&str> = writes.map(|(_, path, _)| path.as_str()).collect();
    let only_told = |path: &&str| path.ends_with("/status") || path.contains("/events");
    assert!(paths.iter().all(only_told), "{paths:?}");
    let status = Server::written(&asked, "ciopipelines/events/status");
    assert_eq!(status["status"]["conditions"][0]["reason"], "NameTaken");
    assert_eq!(
        status["status"]["conditions"][2]["status"], "True",
        "it is stalled"
    );
}

#[tokio::test]
async fn a_resource_that_cannot_be_read_says_so_in_the_same_words_each_time() {
    let server = Server::default();
    let context = context_with(&server, &[]);
    let mut metadata = pipeline("").metadata;
    metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    let invalid = InvalidObject {
        error: format!("missing field {}", "x".repeat(10_000)),
        metadata,
    };
    let guarded: Arc<Guarded> = Arc::new(DeserializeGuard(Err(invalid)));
    let told = async || {
        let done = reconcile(Arc::clone(&guarded), Arc::clone(&context)).await;
        assert!(matches!(done, Err(Error::ReadResource(_))), "{done:?}");
        Server::written(&server.take(), "ciopipelines/events/status")
    };
    let first = told().await;
    assert_eq!(first["status"]["conditions"][0]["reason"], "InvalidSpec");
    assert!(first.to_string().len() < 6_000, "it is cut short");
    assert_eq!(told().await, first);
}
