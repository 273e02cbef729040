//! The members of `/api/v2/batch`, and the batch around them.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::Method;
use serde::Serialize;
use serde_json::Value;

use super::edited::Edited;
use super::limits::BATCH_ITEM;
use super::{ADD, Call, ITEM_OVERHEAD, RELATIONSHIPS, json};
use crate::delivery::operation::{Action, Object, Operation};
use crate::delivery::unix_time::seconds_of_ms;

pub(super) const OPEN: &[u8] = br#"{"batch":["#;
pub(super) const CLOSE: &[u8] = b"]}";

#[derive(Serialize)]
struct Item<'a> {
    r#type: &'static str,
    identifiers: Identifier<'a>,
    action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<Edited<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cio_relationships: Option<&'a Value>,
}

/// v2 wants to be told what v1 judges from the value's shape.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Identifier<'a> {
    Id(&'a str),
    Email(&'a str),
    CioId(&'a str),
}

impl<'a> Identifier<'a> {
    fn of(user_id: &'a str) -> Self {
        match (user_id.strip_prefix("cio_"), user_id.split_once('@')) {
            (Some(cio_id), _) if !cio_id.is_empty() => Self::CioId(cio_id),
            (_, Some((local, domain))) if is_email(local, domain) => Self::Email(user_id),
            _ => Self::Id(user_id),
        }
    }
}

/// Whom a user's id names: Customer.io takes e-mail addresses for the same in any case.
pub(super) fn identity(user_id: &str) -> Cow<'_, str> {
    match Identifier::of(user_id) {
        Identifier::Email(address) => address.to_lowercase().into(),
        Identifier::Id(_) | Identifier::CioId(_) => user_id.into(),
    }
}

fn is_email(local: &str, domain: &str) -> bool {
    let blank = |text: &str| text.is_empty() || text.contains(char::is_whitespace);
    !blank(local) && !blank(domain) && !domain.contains('@') && domain.contains('.')
}

/// The operation as a member of a batch; `None` when it is too large for one, or says what only v1
/// can say.
pub(super) fn item(operation: &Operation<'_>, event_id: &str) -> Option<Bytes> {
    let enqueued = seconds_of_ms(operation.enqueued_at_ms);
    let identifiers = Identifier::of(&operation.user_id);
    let created_at;
    let item = match &operation.action {
        Action::Identify(attributes) => {
            created_at = [("created_at", attributes.created_at.map(Value::from))];
            let related = attributes.map.and_then(|map| map.get(RELATIONSHIPS));
            let related = related.filter(|related| !related.is_null());
            Item {
                r#type: "person",
                identifiers,
                action: "identify",
                name: None,
                id: None,
                timestamp: attributes.timestamp.unwrap_or(enqueued),
                attributes: Some(Edited {
                    object: attributes.map,
                    // In v2 these two stand beside the attributes.
                    skip: &["_timestamp", RELATIONSHIPS],
                    set: &created_at,
                }),
                cio_relationships: match related {
                    Some(related) => Some(relationships(related)?),
                    None => None,
                },
            }
        }
        Action::Track(event) => Item {
            r#type: "person",
            identifiers,
            action: event.kind.unwrap_or("event"),
            name: Some(event.name),
            id: Some(event.id.unwrap_or(event_id)),
            timestamp: event.timestamp.unwrap_or(enqueued),
            attributes: event.data.map(whole),
            cio_relationships: None,
        },
    };
    Some(json(&item)).filter(|item| item.len() <= BATCH_ITEM)
}

/// v1 has an action and a list; v2 has the list alone, which is added. To take relationships away,
/// v2 has an action of its own.
fn relationships(of_v1: &Value) -> Option<&Value> {
    if of_v1.is_array() {
        return Some(of_v1);
    }
    let adds = of_v1.get("action").and_then(Value::as_str) == Some(ADD);
    of_v1
        .get("relationships")
        .filter(|list| adds && list.is_array())
}

fn whole(object: &Object) -> Edited<'_> {
    Edited {
        object: Some(object),
        skip: &[],
        set: &[],
    }
}

pub(super) fn batch<'a>(items: impl ExactSizeIterator<Item = &'a Bytes>) -> Call {
    let mut body = BytesMut::from(OPEN);
    for (index, item) in items.enumerate() {
        if index > 0 {
            body.reserve(item.len() + ITEM_OVERHEAD);
            body.put_u8(b',');
        }
        body.extend_from_slice(item);
    }
    body.extend_from_slice(CLOSE);
    Call {
        method: Method::POST,
        path: "/api/v2/batch".to_owned(),
        body: body.freeze(),
    }
}
