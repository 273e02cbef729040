//! The way of a request through the workspace.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::time::sleep;

use super::faults::{Fault, Rule};
use super::operation::Operation;
use super::path::{Call, call};
use super::replies::{Reply, broken_off};
use super::validation::Invalid;
use super::workspace::Workspace;
use super::{access, app_api, control, v1, v2};

/// A longer body is not read.
const BODY_BYTES: usize = 1 << 20;
/// The status of a rule that refuses a part of a batch.
const PARTLY: Option<u16> = Some(207);
/// Nobody waits for an answer as long as this; then the connection breaks off.
const LONGEST_HANG: Duration = Duration::from_mins(10);

/// The Track API is the fallback: its paths are split before they are decoded, which no router does.
pub(super) fn router(workspace: Workspace) -> Router {
    control::routes()
        .merge(app_api::routes())
        .fallback(serve)
        .with_state(Arc::new(workspace))
}

async fn serve(State(workspace): State<Arc<Workspace>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let counted = counted(head.uri.path());
    if counted {
        let (mut traffic, now) = workspace.traffic();
        traffic.arrive(now, head.method == Method::PUT);
    }
    let rule = workspace.fault(head.method.as_str(), head.uri.path());
    let fault = rule.as_ref().and_then(|rule| rule.fault);
    let added = rule.as_ref().map_or(0, |rule| rule.latency_ms);
    let latency = workspace.options.latency + Duration::from_millis(added);
    let response = match fault {
        Some(Fault::Hang) => {
            sleep(LONGEST_HANG).await;
            broken_off()
        }
        Some(Fault::ResetBefore) => broken_off(),
        Some(Fault::ResetAfter | Fault::Drop) | None => {
            let body = to_bytes(body, BODY_BYTES).await.ok();
            let reply = spoiled(&workspace, rule.as_ref(), &head).unwrap_or_else(|| {
                let partly = rule.is_some_and(|rule| rule.status == PARTLY);
                answer(&workspace, &head, body, partly)
            });
            if fault == Some(Fault::ResetAfter) {
                broken_off()
            } else {
                sent(&workspace, reply, counted)
            }
        }
    };
    if !latency.is_zero() {
        sleep(latency).await;
    }
    response
}

/// Whether it is a request of the API, not of those who watch the simulator.
fn counted(path: &str) -> bool {
    ["/api/", "/push/", "/unsubscribe/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

fn sent(workspace: &Workspace, reply: Reply, counted: bool) -> Response<Body> {
    if counted {
        workspace.traffic().0.answered(reply.status.as_u16());
        workspace.metrics.answered(reply.status.as_str());
    }
    reply.into_response()
}

/// The answer of a fault, where it is more than slowness.
fn spoiled(workspace: &Workspace, rule: Option<&Rule>, head: &Parts) -> Option<Reply> {
    let rule = rule.filter(|rule| rule.status != PARTLY)?;
    if rule.fault == Some(Fault::Drop) {
        workspace.lose();
        return Some(Reply::ok());
    }
    let status = StatusCode::from_u16(rule.status?).ok()?;
    let mut reply = Reply::error(status);
    reply.retry_after_seconds = rule.retry_after_seconds;
    let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    reply.location = rule.location.as_ref().map(|host| format!("{host}{path}"));
    Some(reply)
}

/// Credentials, the site id's limit, then the call itself. No `body`: it was too long. `partly`: the
/// first item of a batch is refused.
fn answer(workspace: &Workspace, head: &Parts, body: Option<Bytes>, partly: bool) -> Reply {
    let call = call(&head.method, head.uri.path());
    if call.needs_credentials() {
        let Some(site) = access::site_id(&head.headers, &workspace.options.credentials) else {
            return Reply::error(StatusCode::UNAUTHORIZED);
        };
        if !workspace.within_limit(&site) {
            return above_limit(workspace);
        }
    }
    match body {
        Some(body) => perform(workspace, &call, head.uri.query(), &body, partly),
        None => Reply::error(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

fn above_limit(workspace: &Workspace) -> Reply {
    if workspace.options.drop_above_limit {
        workspace.lose();
        return Reply::ok();
    }
    let mut reply = Reply::error(StatusCode::TOO_MANY_REQUESTS);
    reply.retry_after_seconds = workspace.options.retry_after_seconds;
    reply
}

/// Reads without a lock, then stores.
fn perform(
    workspace: &Workspace,
    call: &Call,
    query: Option<&str>,
    body: &[u8],
    partly: bool,
) -> Reply {
    let v1 = |read| one(workspace, read, Reply::invalid);
    match call {
        Call::Identify(id) => v1(v1::identify(id, body)),
        Call::Track(id) => v1(v1::track(id, body)),
        Call::TrackAnonymous => v1(v1::track_anonymous(body)),
        Call::Delete(id) => v1(v1::delete(id)),
        Call::AddDevice(id) => v1(v1::add_device(id, body)),
        Call::DeleteDevice(id, token) => v1(v1::delete_device(id, token)),
        Call::Suppress(id) => v1(v1::suppress(id)),
        Call::Unsuppress(id) => v1(v1::unsuppress(id)),
        Call::Merge => v1(v1::merge(body)),
        Call::JoinSegment(segment) => v1(v1::segment(*segment, true, query, body)),
        Call::LeaveSegment(segment) => v1(v1::segment(*segment, false, query, body)),
        Call::Form => match v1(v1::form(body)) {
            reply if reply.status == StatusCode::OK => Reply::no_content(),
            refused => refused,
        },
        Call::Report => v1(v1::report(body)),
        Call::Unsubscribe => v1(v1::unsubscribe(body)),
        Call::Entity => one(workspace, v2::entity(body), Reply::invalid_v2),
        Call::Batch => batch(workspace, body, partly),
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

fn batch(workspace: &Workspace, body: &[u8], partly: bool) -> Reply {
    match v2::batch(body) {
        Ok(mut batch) => {
            if partly {
                batch.refuse_first();
            }
            workspace.take(batch.operations, batch.refused.len());
            Reply::partly(&batch.refused)
        }
        Err(invalid) => {
            workspace.take(Vec::new(), 1);
            Reply::invalid_v2(&invalid)
        }
    }
}
