//! The v1 calls: one operation, one request, the person in the path.

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::edited::Edited;
use super::{ADD, Call, RELATIONSHIPS, json};
use crate::delivery::operation::{Action, Object, Operation};
use crate::delivery::refusal::Refusal;
use crate::delivery::unix_time::seconds_of_ms;

/// What JavaScript's `encodeURIComponent` leaves as it is, so that the path is the one that
/// Customer.io's own client sends.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Nothing to be related to is nothing to say.
fn unset(attributes: Option<&Object>) -> &'static [&'static str] {
    match attributes.and_then(|map| map.get(RELATIONSHIPS)) {
        Some(Value::Null) => &[RELATIONSHIPS],
        _ => &[],
    }
}

/// What v2 calls by the same name is the list alone.
fn relationships(attributes: Option<&Object>) -> Option<Value> {
    let list = attributes?.get(RELATIONSHIPS)?;
    list.is_array()
        .then(|| serde_json::json!({"action": ADD, "relationships": list}))
}

pub(super) fn call(operation: &Operation<'_>, event_id: &str) -> Result<Call, Refusal> {
    if matches!(&*operation.user_id, "." | "..") {
        return Err(Refusal::UserIdNotInPath);
    }
    let user = utf8_percent_encode(&operation.user_id, COMPONENT);
    let enqueued = seconds_of_ms(operation.enqueued_at_ms);
    Ok(match &operation.action {
        Action::Identify(attributes) => Call {
            method: Method::PUT,
            path: format!("/api/v1/customers/{user}"),
            body: json(&Edited {
                object: attributes.map,
                skip: unset(attributes.map),
                set: &[
                    ("created_at", attributes.created_at.map(Value::from)),
                    (RELATIONSHIPS, relationships(attributes.map)),
                    (
                        "_timestamp",
                        Some(attributes.timestamp.unwrap_or(enqueued).into()),
                    ),
                ],
            }),
        },
        Action::Track(event) => Call {
            method: Method::POST,
            path: format!("/api/v1/customers/{user}/events"),
            body: json(&Edited {
                object: Some(event.body),
                skip: &[],
                set: &[
                    ("id", Some(event.id.unwrap_or(event_id).into())),
                    (
                        "timestamp",
                        Some(event.timestamp.unwrap_or(enqueued).into()),
                    ),
                ],
            }),
        },
    })
}
