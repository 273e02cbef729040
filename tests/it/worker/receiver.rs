//! What stands where Customer.io would: notes when each request comes and what it holds, and
//! answers as it is told to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) authorization: String,
    /// Whether it was answered with 200 and no errors.
    pub(crate) accepted: bool,
}

/// What to answer: a status and a body.
pub(crate) type Answer = (u16, String);
type Answering = Box<dyn FnMut(&str, &Value) -> Answer + Send>;

/// A running receiver.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    arrivals: Vec<Arrival>,
    answering: Answering,
    takes: Duration,
    users_in_flight: HashSet<String>,
    overlaps: usize,
}

impl Receiver {
    /// One that accepts everything.
    pub(crate) async fn start() -> Self {
        Self::answering(|_, _| accept()).await
    }

    /// One that answers as `answering` says for a path and a body.
    pub(crate) async fn answering(
        answering: impl FnMut(&str, &Value) -> Answer + Send + 'static,
    ) -> Self {
        Self::answering_at("127.0.0.1:0", answering).await
    }

    /// Likewise, at an address.
    pub(crate) async fn answering_at(
        address: &str,
        answering: impl FnMut(&str, &Value) -> Answer + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let inner = Inner {
            arrivals: Vec::new(),
            answering: Box::new(answering),
            takes: Duration::ZERO,
            users_in_flight: HashSet::new(),
            overlaps: 0,
        };
        let receiver = Self {
            url,
            inner: Arc::new(Mutex::new(inner)),
        };
        let router = Router::new().fallback(receive).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    /// From now on it answers so.
    pub(crate) fn answer(&self, answering: impl FnMut(&str, &Value) -> Answer + Send + 'static) {
        self.inner.lock().expect("the lock").answering = Box::new(answering);
    }

    /// From now on it takes its time to answer.
    pub(crate) fn take_time(&self, takes: Duration) {
        self.inner.lock().expect("the lock").takes = takes;
    }

    /// How often a user was in a request while an earlier one of his was not answered.
    pub(crate) fn overlaps(&self) -> usize {
        self.inner.lock().expect("the lock").overlaps
    }

    /// Everything that came.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.inner.lock().expect("the lock").arrivals.clone()
    }

    /// How many requests came.
    pub(crate) fn count(&self) -> usize {
        self.inner.lock().expect("the lock").arrivals.len()
    }

    /// The operations in accepted requests, in the order they came, as members of a batch.
    pub(crate) fn accepted(&self) -> Vec<Value> {
        let arrivals = self.arrivals();
        let accepted = arrivals.iter().filter(|arrival| arrival.accepted);
        accepted
            .flat_map(|arrival| operations(&arrival.path, &arrival.body))
            .collect()
    }

    /// The events' ids in accepted requests.
    pub(crate) fn event_ids(&self) -> Vec<String> {
        let ids = self.accepted();
        ids.iter()
            .filter_map(|it| it["id"].as_str().map(str::to_owned))
            .collect()
    }
}

/// The success of the real API.
pub(crate) fn accept() -> Answer {
    (200, "{}\n".to_owned())
}

/// What Customer.io answers to what it will never take.
pub(crate) fn refuse(sentence: &str) -> Answer {
    let body = serde_json::json!({"meta": {"error": sentence}});
    (400, body.to_string())
}

async fn receive(
    State(receiver): State<Receiver>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let at = Instant::now();
    let path = format!("{method} {}", uri.path());
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let authorization = headers.get("authorization").and_then(|it| it.to_str().ok());
    let users = users(&path, &body);
    let (takes, status, answer) = {
        let mut inner = receiver.inner.lock().expect("the lock");
        let (status, answer) = (inner.answering)(&path, &body);
        inner.arrivals.push(Arrival {
            at,
            path,
            body,
            authorization: authorization.unwrap_or_default().to_owned(),
            accepted: status == 200 && answer.trim() == "{}",
        });
        for user in &users {
            let fresh = inner.users_in_flight.insert(user.clone());
            inner.overlaps += usize::from(!fresh);
        }
        (inner.takes, status, answer)
    };
    if !takes.is_zero() {
        tokio::time::sleep(takes).await;
    }
    let mut inner = receiver.inner.lock().expect("the lock");
    for user in &users {
        inner.users_in_flight.remove(user);
    }
    (StatusCode::from_u16(status).expect("a status"), answer)
}

fn users(path: &str, body: &Value) -> HashSet<String> {
    match path.split('/').nth(4) {
        Some(user) => HashSet::from([user.to_owned()]),
        None => operations(path, body)
            .iter()
            .map(|it| it["identifiers"].to_string())
            .collect(),
    }
}

/// What a request asks for.
pub(crate) fn operations(path: &str, body: &Value) -> Vec<Value> {
    if path == "POST /api/v2/batch" {
        return body["batch"].as_array().cloned().unwrap_or_default();
    }
    vec![body.clone()]
}
