//! Pure: the body of a v1 call → the operation, or what Customer.io says instead.

use serde_json::{Map, Value};

use super::identity::Identity;
use super::operation::{Event, Operation};
use super::relationships;
use super::validation::{self, Api, Invalid};

/// The documented number of people in one change of a segment, and the kinds that name them.
const SEGMENT_IDS: usize = 1000;
const ID_TYPES: [&str; 3] = ["id", "email", "cio_id"];

/// `PUT /api/v1/customers/{person}`.
pub(super) fn identify(person: &str, body: &[u8]) -> Result<Operation, Invalid> {
    let person = named(person)?;
    let mut attributes = object(body)?;
    if let Some(id) = attributes.get("id") {
        validation::identifier(id, "id")?;
    }
    if let Some(related) = attributes.remove(relationships::FIELD) {
        relationships::of_v1(&related)?;
    }
    validation::attributes(&attributes, Api::V1)?;
    let at = attributes.get("_timestamp").and_then(Value::as_i64);
    Ok(Operation::Identify {
        person,
        attributes,
        at,
    })
}

/// `POST /api/v1/customers/{person}/events`.
pub(super) fn track(person: &str, body: &[u8]) -> Result<Operation, Invalid> {
    let person = named(person)?;
    let fields = object(body)?;
    validation::event(fields.get("name"), fields.get("data"), "data")?;
    Ok(read_event(person, &fields))
}

/// `POST /api/v1/events`; without an `anonymous_id` it is an invitation, to somebody not known at all.
pub(super) fn track_anonymous(body: &[u8]) -> Result<Operation, Invalid> {
    let fields = object(body)?;
    let id = match fields.get("anonymous_id") {
        Some(id) => validation::identifier(id, "anonymous_id")?.to_owned(),
        None => String::new(),
    };
    validation::event(fields.get("name"), fields.get("data"), "data")?;
    Ok(read_event(Identity::Anonymous(id), &fields))
}

fn read_event(person: Identity, fields: &Map<String, Value>) -> Operation {
    let kind = fields.get("type").and_then(Value::as_str);
    Operation::Event(Event::read(person, kind.unwrap_or_default(), fields))
}

/// `DELETE /api/v1/customers/{person}`.
pub(super) fn delete(person: &str) -> Result<Operation, Invalid> {
    Ok(Operation::Delete(named(person)?))
}

/// `PUT /api/v1/customers/{person}/devices`.
pub(super) fn add_device(person: &str, body: &[u8]) -> Result<Operation, Invalid> {
    let person = named(person)?;
    let (token, device) = validation::device(object(body)?.remove("device"), "id")?;
    validation::platform(&device)?;
    Ok(Operation::AddDevice {
        person,
        token,
        device,
    })
}

/// `DELETE /api/v1/customers/{person}/devices/{token}`.
pub(super) fn delete_device(person: &str, token: &str) -> Result<Operation, Invalid> {
    Ok(Operation::DeleteDevice {
        person: named(person)?,
        token: token.to_owned(),
    })
}

/// `POST /api/v1/customers/{person}/suppress`.
pub(super) fn suppress(person: &str) -> Result<Operation, Invalid> {
    Ok(Operation::Suppress(named(person)?))
}

/// `POST /api/v1/customers/{person}/unsuppress`.
pub(super) fn unsuppress(person: &str) -> Result<Operation, Invalid> {
    Ok(Operation::Unsuppress(named(person)?))
}

/// `POST /api/v1/merge_customers`.
pub(super) fn merge(body: &[u8]) -> Result<Operation, Invalid> {
    merger(&object(body)?)
}

/// What both APIs write the same way: `primary` and `secondary`, each with one identifier.
pub(super) fn merger(fields: &Map<String, Value>) -> Result<Operation, Invalid> {
    let read = |name: &str| {
        Identity::from_identifiers(fields.get(name)).map_err(|invalid| Invalid {
            field: invalid.field.replacen("identifiers", name, 1),
            ..invalid
        })
    };
    Ok(Operation::Merge {
        primary: read("primary")?,
        secondary: read("secondary")?,
    })
}

/// `POST /api/v1/segments/{segment}/add_customers` and `remove_customers`; the kind of the ids is
/// in the query. Entries that are not of it are ignored, as the real one ignores them.
pub(super) fn segment(
    segment: u32,
    join: bool,
    query: Option<&str>,
    body: &[u8],
) -> Result<Operation, Invalid> {
    let fields = object(body)?;
    let ids = fields.get("ids").and_then(Value::as_array);
    let ids = ids.filter(|ids| (1..=SEGMENT_IDS).contains(&ids.len()));
    let ids = ids.ok_or_else(|| {
        let message = "ids must be an array of 1 to 1000 identifiers";
        Invalid::new("invalid", "ids", message)
    })?;
    let mut parameters = query.unwrap_or_default().split('&');
    let kind = parameters.find_map(|parameter| parameter.strip_prefix("id_type="));
    let kind = kind.unwrap_or("id");
    if !ID_TYPES.contains(&kind) {
        let message = "id_type must be one of id, email, cio_id";
        return Err(Invalid::new("invalid", "id_type", message));
    }
    let people = ids.iter().filter_map(|id| Identity::listed(kind, id));
    Ok(Operation::Segment {
        segment,
        people: people.collect(),
        join,
    })
}

/// `POST /api/v1/forms/{form}/submit`: the fields name a person, and become attributes.
pub(super) fn form(body: &[u8]) -> Result<Operation, Invalid> {
    let Some(Value::Object(attributes)) = object(body)?.remove("data") else {
        return Err(Invalid::new("required", "data", "data must be a hash"));
    };
    let named = ["id", "email"]
        .into_iter()
        .filter_map(|kind| Identity::listed(kind, attributes.get(kind)?));
    let [person] = <[Identity; 1]>::try_from(named.collect::<Vec<_>>()).map_err(|_| {
        let message = "data must contain one identifier: id or email";
        Invalid::new("required", "data", message)
    })?;
    validation::attributes(&attributes, Api::V1)?;
    Ok(Operation::Form { person, attributes })
}

/// `POST /api/v1/metrics` and `POST /api/v1/push/events`: whatever they say, they are received.
pub(super) fn report(body: &[u8]) -> Result<Operation, Invalid> {
    object(body)?;
    Ok(Operation::Report)
}

/// `POST /unsubscribe/{delivery}`.
pub(super) fn unsubscribe(body: &[u8]) -> Result<Operation, Invalid> {
    object(body)?;
    Ok(Operation::Unsubscribe)
}

fn named(person: &str) -> Result<Identity, Invalid> {
    validation::person_id(person, "id")?;
    Ok(Identity::by_shape(person))
}

/// A body that must be a JSON object; an empty one is an empty object, and so is the
/// `null` that the Go client writes for no attributes.
fn object(body: &[u8]) -> Result<Map<String, Value>, Invalid> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let fields: Result<Option<Map<String, Value>>, _> = serde_json::from_slice(body);
    fields
        .map(Option::unwrap_or_default)
        .map_err(|_| Invalid::new("invalid", "body", "request body must be a JSON object"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_v1_refuses_it_refuses_in_the_documented_words() {
        let bytes = |body: &Value| body.to_string().into_bytes();
        let identify = |id: &str, body: Value| identify(id, &bytes(&body)).unwrap_err().message;
        let track = |id: &str, body: Value| track(id, &bytes(&body)).unwrap_err().message;
        let cases = [
            (
                identify("", json!({})),
                "id attribute cannot be an empty string",
            ),
            (
                identify("u", json!({"id": 5})),
                "id attribute must be a string value",
            ),
            (
                identify("u", json!({"id": ""})),
                "id attribute cannot be an empty string",
            ),
            (
                identify("u", json!({"id": null})),
                "id attribute must be present",
            ),
            (
                identify("u", json!({"cio_relationships": []})),
                "cio_relationships must be a hash of action and relationships",
            ),
            (
                identify("u", json!({"plan": "x".repeat(1001)})),
                "value for attribute 'plan' cannot be longer than 1000 bytes",
            ),
            (
                identify("u", json!([])),
                "request body must be a JSON object",
            ),
            (track("u", json!({})), "event name must not be blank"),
            (
                track("u", json!({"name": "n", "data": 1})),
                "event data must be a hash",
            ),
            (
                track("", json!({"name": "n"})),
                "id attribute cannot be an empty string",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
        assert!(delete("").is_err());
    }

    #[test]
    fn what_the_lesser_calls_need_is_named() {
        let field = |read: Result<Operation, Invalid>| read.unwrap_err().field;
        let ids = |count: usize| json!({ "ids": vec!["u"; count] }).to_string();
        let device = |body: &[u8]| add_device("u", body);
        let cases = [
            (field(device(b"{}")), "device"),
            (field(device(br#"{"device": {"platform": "ios"}}"#)), "id"),
            (field(device(br#"{"device": {"id": "t"}}"#)), "platform"),
            (
                field(device(br#"{"device": {"id": "t", "platform": "tv"}}"#)),
                "platform",
            ),
            (field(merge(br#"{"primary": {"id": "u"}}"#)), "secondary"),
            (field(merge(br#"{"primary": {"id": 5}}"#)), "primary.id"),
            (field(segment(1, true, None, b"{}")), "ids"),
            (field(segment(1, true, None, ids(0).as_bytes())), "ids"),
            (field(segment(1, true, None, ids(1001).as_bytes())), "ids"),
            (
                field(segment(1, true, Some("id_type=x"), ids(1).as_bytes())),
                "id_type",
            ),
            (field(form(b"{}")), "data"),
            (field(form(br#"{"data": {"plan": "x"}}"#)), "data"),
            (
                field(form(br#"{"data": {"id": "u", "email": "u@x.io"}}"#)),
                "data",
            ),
            (field(report(b"[]")), "body"),
            (field(unsubscribe(b"[]")), "body"),
            (field(track_anonymous(b"{}")), "name"),
            (field(suppress("")), "id"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
        assert!(segment(1, true, None, ids(1000).as_bytes()).is_ok());
    }

    #[test]
    fn entries_of_another_kind_are_ignored() {
        let body = br#"{"ids": ["A@x.io", 5, "b@x.io"]}"#;
        let read = segment(7, false, Some("x=1&id_type=email"), body).unwrap();
        let expected = Operation::Segment {
            segment: 7,
            people: vec![Identity::email("a@x.io"), Identity::email("b@x.io")],
            join: false,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_call_becomes_an_operation() {
        let body = br#"{"name": " bought ", "id": "e1", "timestamp": 7, "data": {"a": 1}}"#;
        let Ok(Operation::Event(event)) = track("u", body) else {
            panic!("an event")
        };
        assert_eq!(
            (event.name.as_str(), event.id.as_deref(), event.timestamp),
            ("bought", Some("e1"), Some(7))
        );
        let read = identify("A@b.io", br#"{"_timestamp": 9}"#).unwrap();
        let Operation::Identify { person, at, .. } = read else {
            panic!("an identify")
        };
        assert_eq!((person, at), (Identity::email("a@b.io"), Some(9)));
        assert!(
            identify("u", b" ").is_ok(),
            "an empty body is an empty object"
        );
        assert!(
            identify("u", b"null").is_ok(),
            "null is what the Go client sends for no attributes"
        );
    }
}
