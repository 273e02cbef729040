//! The pages under `/_sim`: what was stored and counted, and the faults.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{any, get};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{Rule, parse_rules};
use super::identity::Identity;
use super::page::page;
use super::store::KEEP_DETAILS;
use super::workspace::Workspace;

/// Events shown when nothing else is asked for.
const DEFAULT_EVENTS: usize = 100;
/// Seconds that the page's bars show.
const BARS: u64 = 120;

pub(super) fn routes() -> Router<Arc<Workspace>> {
    Router::new()
        .route("/", get(show_page))
        .route("/_sim/state", get(state).delete(reset))
        .route("/_sim/arrivals", get(arrivals))
        .route("/_sim/events", get(events))
        .route("/_sim/people/{id}", get(person))
        .route("/_sim/people/{id}/belongings", get(belongings))
        .route(
            "/_sim/faults",
            get(faults).put(set_faults).delete(clear_faults),
        )
        .route("/_sim/{*other}", any(unknown))
}

async fn state(State(workspace): State<Arc<Workspace>>) -> Response {
    Json(workspace.state()).into_response()
}

async fn reset(State(workspace): State<Arc<Workspace>>) -> StatusCode {
    workspace.reset();
    StatusCode::NO_CONTENT
}

async fn show_page(State(workspace): State<Arc<Workspace>>) -> Html<String> {
    let seconds = {
        let (traffic, now) = workspace.traffic();
        traffic.last_seconds(BARS, now)
    };
    Html(page(&workspace.state(), &seconds))
}

/// `method=PUT`: of such requests alone, which are the identify calls of the v1 API.
#[derive(Deserialize)]
struct Which {
    method: Option<Put>,
}

#[derive(Deserialize)]
enum Put {
    #[serde(rename = "PUT")]
    Put,
}

async fn arrivals(
    State(workspace): State<Arc<Workspace>>,
    Query(which): Query<Which>,
) -> Json<Value> {
    let only_puts = matches!(which.method, Some(Put::Put));
    let arrivals = workspace.traffic().0.arrivals(only_puts);
    Json(json!({ "arrivals_us": arrivals }))
}

/// `after`: the `sequence` of the last event that is known already; absent: the latest are shown.
#[derive(Deserialize)]
struct Span {
    after: Option<u64>,
    limit: Option<usize>,
}

async fn events(State(workspace): State<Arc<Workspace>>, Query(span): Query<Span>) -> Response {
    let limit = span.limit.unwrap_or(DEFAULT_EVENTS).min(KEEP_DETAILS);
    let events = workspace.store().events(span.after, limit);
    Json(json!({ "events": events })).into_response()
}

/// The attributes; the id that Customer.io itself would give is in the header `cio-id`.
async fn person(State(workspace): State<Arc<Workspace>>, Path(id): Path<String>) -> Response {
    match workspace.store().person(&Identity::by_shape(&id)) {
        Some(person) => ([("cio-id", person.cio_id)], Json(person.attributes)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Devices by token, and the numbers of manual segments.
async fn belongings(State(workspace): State<Arc<Workspace>>, Path(id): Path<String>) -> Response {
    match workspace.store().belongings(&Identity::by_shape(&id)) {
        Some(belongings) => Json(belongings).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn faults(State(workspace): State<Arc<Workspace>>) -> Json<Vec<Rule>> {
    Json(workspace.faults().rules().to_vec())
}

async fn set_faults(State(workspace): State<Arc<Workspace>>, body: Bytes) -> Response {
    match parse_rules(&body).and_then(|rules| workspace.faults().replace(rules)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            let body = Json(json!({"error": error.to_string()}));
            (StatusCode::BAD_REQUEST, body).into_response()
        }
    }
}

async fn clear_faults(State(workspace): State<Arc<Workspace>>) -> StatusCode {
    workspace.faults().clear();
    StatusCode::NO_CONTENT
}

async fn unknown() -> Response {
    let message = "no such page; there are /_sim/state, /_sim/arrivals, /_sim/events, \
                   /_sim/people/ID, /_sim/people/ID/belongings and /_sim/faults";
    (StatusCode::NOT_FOUND, Json(json!({ "error": message }))).into_response()
}
