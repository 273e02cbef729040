//! The way of a request through the workspace.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{Request, Response, StatusCode};
use serde_json::json;
use tokio::time::sleep;

use super::faults::Rule;
use super::operation::Operation;
use super::path::{Call, call};
use super::replies::Reply;
use super::validation::Invalid;
use super::workspace::Workspace;
use super::{access, control, v1, v2};

/// A longer body is not read.
const BODY_BYTES: usize = 1 << 20;

/// The Track API is the fallback: its paths are split before they are decoded, which no router does.
pub(super) fn router(workspace: Workspace) -> Router {
    control::routes()
        .fallback(serve)
        .with_state(Arc::new(workspace))
}

async fn serve(State(workspace): State<Arc<Workspace>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let counted = head.uri.path().starts_with("/api/");
    if counted {
        let (mut traffic, now) = workspace.traffic();
        traffic.arrive(now);
    }
    let fault = workspace.fault(head.method.as_str(), head.uri.path());
    let body = to_bytes(body, BODY_BYTES).await.ok();
    let reply = spoiled(fault.as_ref()).unwrap_or_else(|| answer(&workspace, &head, body));
    if counted {
        workspace.traffic().0.answered(reply.status.as_u16());
        workspace.metrics.answered(reply.status.as_str());
    }
    let added = fault.map_or(0, |rule| rule.latency_ms);
    let latency = workspace.options.latency + Duration::from_millis(added);
    if !latency.is_zero() {
        sleep(latency).await;
    }
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

/// Credentials, the site id's limit, then the call itself. No `body`: it was too long.
fn answer(workspace: &Workspace, head: &Parts, body: Option<Bytes>) -> Reply {
    let Some(site) = access::site_id(&head.headers, &workspace.options.credentials) else {
        return Reply::error(StatusCode::UNAUTHORIZED);
    };
    if !workspace.within_limit(&site) {
        let mut reply = Reply::error(StatusCode::TOO_MANY_REQUESTS);
        reply.retry_after_seconds = workspace.options.retry_after_seconds;
        return reply;
    }
    match body {
        Some(body) => perform(workspace, &call(&head.method, head.uri.path()), &body),
        None => Reply::error(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

/// Reads without a lock, then stores.
fn perform(workspace: &Workspace, call: &Call, body: &[u8]) -> Reply {
    match call {
        Call::Identify(id) => one(workspace, v1::identify(id, body), Reply::invalid),
        Call::Track(id) => one(workspace, v1::track(id, body), Reply::invalid),
        Call::Delete(id) => one(workspace, v1::delete(id), Reply::invalid),
        Call::Entity => one(workspace, v2::entity(body), Reply::invalid_v2),
        Call::Batch => batch(workspace, body),
        Call::Region => Reply::json(&json!({
            "url": "https://track.customer.io",
            "region": workspace.options.region,
            "environment_id": 1,
        })),
        Call::Auth => Reply::json(&json!({"meta": {"message": "nice credentials."}})),
        Call::WrongMethod => Reply::error(StatusCode::METHOD_NOT_ALLOWED),
        Call::Unknown => Reply::error(StatusCode::NOT_FOUND),
    }
}

fn one(
    workspace: &Workspace,
    read: Result<Operation, Invalid>,
    refused: fn(&Invalid) -> Reply,
) -> Reply {
    match read {
        Ok(operation) => {
            workspace.take(vec![operation], 0);
            Reply::ok()
        }
        Err(invalid) => {
            workspace.take(Vec::new(), 1);
            refused(&invalid)
        }
    }
}

fn batch(workspace: &Workspace, body: &[u8]) -> Reply {
    match v2::batch(body) {
        Ok(batch) => {
            workspace.take(batch.operations, batch.refused.len());
            Reply::partly(&batch.refused)
        }
        Err(invalid) => {
            workspace.take(Vec::new(), 1);
            Reply::invalid_v2(&invalid)
        }
    }
}
