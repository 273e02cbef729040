//! An API server that keeps one Lease as the real one does: an update of an old version conflicts.

use std::sync::{Arc, Mutex};

use hyper::{Method, Request, Response};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::record::{self, Record};

/// The server; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Server(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    methods: Vec<String>,
}

impl Server {
    /// A client of a process.
    pub(super) fn client(&self) -> Client {
        self.link().0
    }

    /// A client, and what cuts it off: requests hang from then on.
    pub(super) fn link(&self) -> (Client, Arc<Mutex<bool>>) {
        let cut = Arc::new(Mutex::new(false));
        let (server, is_cut) = (self.clone(), Arc::clone(&cut));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, is_cut) = (server.clone(), Arc::clone(&is_cut));
            async move {
                let cut = *is_cut.lock().unwrap();
                if cut {
                    std::future::pending::<()>().await;
                }
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let (code, answer) = server.answer(&head.method, head.uri.path(), &body);
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                let response = Response::builder().status(code).body(body).unwrap();
                Ok::<_, kube::Error>(response)
            }
        });
        (Client::new(service, "default"), cut)
    }

    pub(super) fn record(&self) -> Option<Record> {
        self.0.lock().unwrap().lease.as_ref().map(record::read)
    }

    pub(super) fn holder(&self) -> Option<String> {
        self.record().and_then(|record| record.holder)
    }

    /// Another process writes the Lease.
    pub(super) fn write(&self, change: impl FnOnce(Lease) -> Lease) {
        let mut state = self.0.lock().unwrap();
        let lease = state.lease.take().unwrap_or_default();
        state.store(change(lease));
    }

    /// Somebody deletes the Lease.
    pub(super) fn delete(&self) {
        self.0.lock().unwrap().lease = None;
    }

    pub(super) fn methods(&self) -> Vec<String> {
        self.0.lock().unwrap().methods.clone()
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let mut state = self.0.lock().unwrap();
        state.methods.push(method.to_string());
        if !path.contains("/leases") {
            return refusal(404, "NotFound");
        }
        let sent = serde_json::from_slice::<Lease>(body).ok();
        match (method, sent, state.lease.clone()) {
            (&Method::GET, _, Some(lease)) => (200, serde_json::to_value(lease).unwrap()),
            (&Method::POST, Some(_), Some(_)) => refusal(409, "AlreadyExists"),
            (&Method::POST, Some(sent), None) => state.store(sent),
            (&Method::PUT, Some(sent), Some(lease)) => {
                if sent.metadata.resource_version == lease.metadata.resource_version {
                    state.store(sent)
                } else {
                    refusal(409, "Conflict")
                }
            }
            _ => refusal(404, "NotFound"),
        }
    }
}

impl State {
    fn store(&mut self, mut lease: Lease) -> (u16, Value) {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        let answer = serde_json::to_value(&lease).unwrap();
        self.lease = Some(lease);
        (200, answer)
    }
}

fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": reason, "code": code,
    });
    (code, status)
}
