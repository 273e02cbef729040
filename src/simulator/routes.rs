//! The way of a request through the workspace.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::faults::{Faults, Rule};
use super::path::{Call, call};
use super::replies::Reply;
use super::store::Store;
use super::traffic::Traffic;
use super::{Options, access, control, operations};
use crate::runtime::clock::Clock;

/// A longer body is not read.
const BODY_BYTES: usize = 1 << 20;

/// Everything the workspace is. The locks are held for moments, and never over an await.
#[derive(Debug)]
pub(super) struct Workspace {
    options: Options,
    clock: Clock,
    started: Instant,
    store: Mutex<Store>,
    traffic: Mutex<Traffic>,
    faults: Mutex<Faults>,
}

impl Workspace {
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `/_sim/state` shows.
    pub(super) fn state(&self) -> Value {
        let mut state = self.store().state();
        if let (Value::Object(state), Value::Object(traffic)) = (&mut state, self.traffic().state())
        {
            state.extend(traffic);
        }
        state
    }

    /// Forgets everything but the faults.
    pub(super) fn reset(&self) {
        *self.store() = Store::new(self.options.keep_events);
        *self.traffic() = Traffic::default();
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The workspace as a router.
pub fn router(options: Options, clock: Clock) -> Router {
    let workspace = Workspace {
        store: Mutex::new(Store::new(options.keep_events)),
        traffic: Mutex::default(),
        faults: Mutex::default(),
        started: Instant::now(),
        options,
        clock,
    };
    control::routes()
        .fallback(serve)
        .with_state(Arc::new(workspace))
}

async fn serve(State(workspace): State<Arc<Workspace>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let called = call(&head.method, head.uri.path());
    if called != Call::Unknown {
        let now = workspace.now_us();
        workspace.traffic().arrive(now);
    }
    let fault = workspace
        .faults()
        .hit(head.method.as_str(), head.uri.path());
    let body = to_bytes(body, BODY_BYTES).await;
    let reply = match (spoiled(fault.as_ref()), body) {
        (Some(reply), _) => reply,
        (None, Err(_)) => Reply::error(StatusCode::PAYLOAD_TOO_LARGE),
        (None, Ok(body)) => match admit(&workspace, &head.headers) {
            Ok(()) => {
                let now = workspace.clock.now().as_second();
                let region = &workspace.options.region;
                operations::perform(&mut workspace.store(), &called, &body, region, now)
            }
            Err(status) => Reply::error(status),
        },
    };
    let added = fault.map_or(0, |rule| rule.latency_ms);
    let latency = workspace.options.latency + Duration::from_millis(added);
    if !latency.is_zero() {
        sleep(latency).await;
    }
    workspace.traffic().answered(reply.status.as_u16());
    reply.into_response()
}

/// The answer of a fault, where it is more than slowness.
fn spoiled(fault: Option<&Rule>) -> Option<Reply> {
    let rule = fault?;
    let status = StatusCode::from_u16(rule.status?).ok()?;
    let mut reply = Reply::error(status);
    reply.retry_after_seconds = rule.retry_after_seconds;
    Some(reply)
}

/// Credentials, then the limit of the site id.
fn admit(workspace: &Workspace, headers: &hyper::HeaderMap) -> Result<(), StatusCode> {
    let site =
        access::site_id(headers, &workspace.options.credentials).ok_or(StatusCode::UNAUTHORIZED)?;
    let Some(limit) = workspace.options.requests_per_second else {
        return Ok(());
    };
    let now = workspace.now_us();
    let within = workspace.traffic().within_limit(&site, limit, now);
    if within {
        Ok(())
    } else {
        Err(StatusCode::TOO_MANY_REQUESTS)
    }
}
