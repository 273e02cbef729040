//! Pure: the body of a v1 call → the operation, or what Customer.io says instead.

use serde_json::{Map, Value};

use super::identity::Identity;
use super::operation::{Event, Operation};
use super::validation::{self, Api, Invalid};

/// `PUT /api/v1/customers/{person}`.
pub(super) fn identify(person: &str, body: &[u8]) -> Result<Operation, Invalid> {
    let person = named(person)?;
    let attributes = object(body)?;
    if let Some(id) = attributes.get("id") {
        validation::identifier(id, "id")?;
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
    Ok(Operation::Event(Event::read(person, &fields)))
}

/// `DELETE /api/v1/customers/{person}`.
pub(super) fn delete(person: &str) -> Result<Operation, Invalid> {
    Ok(Operation::Delete(named(person)?))
}

fn named(person: &str) -> Result<Identity, Invalid> {
    validation::person_id(person, "id")?;
    Ok(Identity::by_shape(person))
}

/// A body that must be a JSON object; an empty one is an empty object, as some clients send it.
fn object(body: &[u8]) -> Result<Map<String, Value>, Invalid> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(body)
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
    }
}
