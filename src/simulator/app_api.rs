//! The one call of the App API that there is: which of these people exist. A key of its own, 10
//! requests a second, and none of the faults.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::identity::Identity;
use super::workspace::Workspace;

/// Requests in any second, as documented.
const LIMIT: u32 = 10;
/// Where the limit is counted, beside the site ids of the Track API: no site id has a blank.
const SITE: &str = "the app api";
/// Ids in a request, as documented.
const MOST_IDS: usize = 100;

#[derive(Deserialize)]
struct Asked {
    ids: Vec<String>,
}

pub(super) fn routes() -> Router<Arc<Workspace>> {
    Router::new().route("/v1/customers/attributes", post(attributes))
}

async fn attributes(
    State(workspace): State<Arc<Workspace>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !may(&headers, workspace.options.app_api_key.as_deref()) {
        return refused(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let within = {
        let (mut traffic, now) = workspace.traffic();
        traffic.within_limit(SITE, LIMIT, now)
    };
    if !within {
        return refused(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    }
    match serde_json::from_slice::<Asked>(&body) {
        Ok(asked) if (1..=MOST_IDS).contains(&asked.ids.len()) => {
            let people: Vec<Value> = asked
                .ids
                .iter()
                .filter_map(|id| person(&workspace, id))
                .collect();
            Json(json!({ "customers": people })).into_response()
        }
        _ => refused(StatusCode::BAD_REQUEST, "ids: from 1 to 100 of them"),
    }
}

fn may(headers: &HeaderMap, key: Option<&str>) -> bool {
    let header = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    let given = header.and_then(|it| it.strip_prefix("Bearer "));
    given.is_some_and(|given| key.map_or(!given.is_empty(), |key| given == key))
}

fn person(workspace: &Workspace, id: &str) -> Option<Value> {
    let person = workspace.store().person(&Identity::Id(id.to_owned()))?;
    let mut attributes: Map<String, Value> = person.attributes.into_iter().collect();
    attributes.insert("id".to_owned(), id.into());
    attributes.insert("cio_id".to_owned(), person.cio_id.into());
    Some(json!({"customer": {"id": id, "attributes": attributes, "devices": []}}))
}

fn refused(status: StatusCode, detail: &str) -> Response {
    let body = json!({"errors": [{"detail": detail, "status": status.as_u16().to_string()}]});
    (status, Json(body)).into_response()
}
