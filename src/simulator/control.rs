//! The pages under `/_sim`: what was stored and counted, and the faults.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::get;
use axum::{Router, body::Bytes};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Rule;
use super::page::page;
use super::routes::Workspace;

/// Events shown when nothing else is asked for.
const DEFAULT_EVENTS: usize = 100;

pub(super) fn routes() -> Router<Arc<Workspace>> {
    Router::new()
        .route("/", get(show_page))
        .route("/_sim/state", get(state).delete(reset))
        .route("/_sim/arrivals", get(arrivals))
        .route("/_sim/events", get(events))
        .route("/_sim/people/{id}", get(person))
        .route(
            "/_sim/faults",
            get(faults).put(set_faults).delete(clear_faults),
        )
}

async fn state(State(workspace): State<Arc<Workspace>>) -> Json<Value> {
    Json(workspace.state())
}

async fn reset(State(workspace): State<Arc<Workspace>>) -> StatusCode {
    workspace.reset();
    StatusCode::NO_CONTENT
}

async fn show_page(State(workspace): State<Arc<Workspace>>) -> Html<String> {
    let seconds = workspace.traffic().last_seconds(120);
    Html(page(&workspace.state(), &seconds))
}

async fn arrivals(State(workspace): State<Arc<Workspace>>) -> Json<Value> {
    Json(json!({"arrivals_us": workspace.traffic().arrivals()}))
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

async fn events(
    State(workspace): State<Arc<Workspace>>,
    Query(query): Query<Limit>,
) -> Json<Value> {
    Json(json!({"events": workspace.store().last_events(query.limit.unwrap_or(DEFAULT_EVENTS))}))
}

async fn person(State(workspace): State<Arc<Workspace>>, Path(id): Path<String>) -> Response {
    match workspace.store().person(&id) {
        Some(attributes) => Json(attributes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn faults(State(workspace): State<Arc<Workspace>>) -> Response {
    Json(workspace.faults().rules()).into_response()
}

async fn set_faults(State(workspace): State<Arc<Workspace>>, body: Bytes) -> Response {
    let rules = serde_json::from_slice::<Vec<Rule>>(&body).map_err(|error| error.to_string());
    match rules.and_then(|rules| workspace.faults().replace(rules)) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(message) => {
            let help = "write a list of rules, for example [{\"status\": 429, \"share\": 0.5}]";
            (
                StatusCode::BAD_REQUEST,
                Json(json!({"error": message, "help": help})),
            )
                .into_response()
        }
    }
}

async fn clear_faults(State(workspace): State<Arc<Workspace>>) -> Response {
    match workspace.faults().replace(Vec::new()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(message) => (StatusCode::BAD_REQUEST, message).into_response(),
    }
}
