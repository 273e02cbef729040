//! Pure: what Customer.io refuses, in its own words.
//!
//! Messages of v1 are those of its page "Invalid API Requests"; limits are bytes of UTF-8.

use serde_json::{Map, Value};

/// The longest id of a person, name of an attribute, value of an attribute and event name.
const ID_BYTES: usize = 150;
const ATTRIBUTE_NAME_BYTES: usize = 150;
const ATTRIBUTE_VALUE_BYTES: usize = 1000;
const EVENT_NAME_BYTES: usize = 100;
const EVENT_DATA_BYTES: usize = 100_000;
const ATTRIBUTES: usize = 300;

/// Why something is refused: Customer.io's reason, field and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) reason: &'static str,
    pub(super) field: String,
    pub(super) message: String,
}

fn invalid(reason: &'static str, field: &str, message: &str) -> Invalid {
    Invalid {
        reason,
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

/// The id of a person.
pub(super) fn person_id(id: &str) -> Result<(), Invalid> {
    if id.is_empty() {
        return Err(invalid(
            "required",
            "id",
            "id attribute cannot be an empty string",
        ));
    }
    if id.len() > ID_BYTES {
        return Err(invalid(
            "invalid",
            "id",
            "id cannot be longer than 150 bytes",
        ));
    }
    Ok(())
}

/// The attributes of an identify.
pub(super) fn attributes(attributes: &Map<String, Value>) -> Result<(), Invalid> {
    if attributes.len() > ATTRIBUTES {
        let message = "cannot identify more than 300 attributes in one request";
        return Err(invalid("invalid", "attributes", message));
    }
    attributes
        .iter()
        .try_for_each(|(name, value)| attribute(name, value))
}

fn attribute(name: &str, value: &Value) -> Result<(), Invalid> {
    if name.len() > ATTRIBUTE_NAME_BYTES {
        let message = "attribute name cannot be longer than 150 bytes";
        return Err(invalid("invalid", "attributes", message));
    }
    let bytes = match value {
        Value::String(text) => text.len(),
        // Customer.io's own fields have their own rules.
        _ if name.starts_with("cio_") => 0,
        other => other.to_string().len(),
    };
    if bytes > ATTRIBUTE_VALUE_BYTES {
        let message = format!("value for attribute '{name}' cannot be longer than 1000 bytes");
        return Err(invalid("invalid", &format!("attributes.{name}"), &message));
    }
    Ok(())
}

/// An event's name and data.
pub(super) fn event(name: Option<&Value>, data: Option<&Value>) -> Result<(), Invalid> {
    let name = name.and_then(Value::as_str).unwrap_or_default().trim();
    if name.is_empty() {
        return Err(invalid("required", "name", "event name must not be blank"));
    }
    if name.len() > EVENT_NAME_BYTES {
        return Err(invalid(
            "invalid",
            "name",
            "event name cannot be longer than 100 bytes",
        ));
    }
    match data {
        Some(data) if !data.is_object() => {
            Err(invalid("invalid", "data", "event data must be a hash"))
        }
        Some(data) if data.to_string().len() > EVENT_DATA_BYTES => Err(invalid(
            "invalid",
            "data",
            "event data cannot be longer than 100000 bytes",
        )),
        None | Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_long_is_refused_in_bytes_not_characters() {
        assert_eq!(person_id(&"ü".repeat(75)), Ok(()));
        assert_eq!(person_id(&"ü".repeat(76)).unwrap_err().field, "id");
        assert_eq!(person_id("").unwrap_err().reason, "required");
    }

    #[test]
    fn attributes_have_their_documented_limits() {
        let of = |value: Value| attributes(value.as_object().expect("an object"));
        assert_eq!(of(json!({"a": "x".repeat(1000)})), Ok(()));
        let error = of(json!({"plan": "x".repeat(1001)})).unwrap_err();
        assert_eq!(error.field, "attributes.plan");
        assert_eq!(
            error.message,
            "value for attribute 'plan' cannot be longer than 1000 bytes"
        );
        assert!(of(json!({"x".repeat(151): 1})).is_err());
        let many = (0..301).map(|n| (n.to_string(), json!(n))).collect();
        assert!(attributes(&many).unwrap_err().message.contains("300"));
    }

    #[test]
    fn events_have_their_documented_messages() {
        let cases = [
            (json!({}), "event name must not be blank"),
            (json!({"name": "  "}), "event name must not be blank"),
            (json!({"name": 5}), "event name must not be blank"),
            (
                json!({"name": "n".repeat(101)}),
                "event name cannot be longer than 100 bytes",
            ),
            (
                json!({"name": "n", "data": []}),
                "event data must be a hash",
            ),
            (
                json!({"name": "n", "data": {"x": "x".repeat(100_000)}}),
                "event data cannot be longer than 100000 bytes",
            ),
        ];
        for (body, message) in cases {
            let found = event(body.get("name"), body.get("data")).unwrap_err();
            assert_eq!(found.message, message);
        }
        assert_eq!(
            event(Some(&json!("bought")), Some(&json!({"a": 1}))),
            Ok(())
        );
    }
}
