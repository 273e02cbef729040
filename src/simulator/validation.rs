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
/// An identify's own field among the attributes, with rules of its own.
const PREFERENCES: &str = "cio_subscription_preferences";
/// Longer names are refused in other words.
const EVENT_NAME_CHARACTERS: usize = 500;

/// Why something is refused: Customer.io's reason, field and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid {
    pub(super) reason: &'static str,
    pub(super) field: String,
    pub(super) message: String,
}

impl Invalid {
    pub(super) fn new(reason: &'static str, field: &str, message: &str) -> Self {
        Self {
            reason,
            field: field.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// Which API answers: for an attribute that is too long the two have words of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    V1,
    V2,
}

/// What names a person, as text.
pub(super) fn identifier<'a>(value: &'a Value, field: &str) -> Result<&'a str, Invalid> {
    if value.is_null() {
        return Err(absent(field));
    }
    let Some(text) = value.as_str() else {
        let message = "id attribute must be a string value";
        return Err(Invalid::new("invalid", field, message));
    };
    person_id(text, field).map(|()| text)
}

/// There is nothing where an id has to be.
pub(super) fn absent(field: &str) -> Invalid {
    Invalid::new("required", field, "id attribute must be present")
}

/// The id of a person, of whatever kind.
pub(super) fn person_id(id: &str, field: &str) -> Result<(), Invalid> {
    if id.is_empty() {
        let message = "id attribute cannot be an empty string";
        return Err(Invalid::new("required", field, message));
    }
    if id.len() > ID_BYTES {
        // The limit is documented, the message is not.
        let message = "id attribute cannot be longer than 150 bytes";
        return Err(Invalid::new("invalid", field, message));
    }
    Ok(())
}

/// A text that has to be there. The words are ours: those of the real one are not documented.
pub(super) fn required<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Invalid> {
    fields
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Invalid::new("required", name, &format!("{name} is required")))
}

/// A device: its token, which the caller's API calls `token_field`, and what else is said of it.
pub(super) fn device(
    device: Option<Value>,
    token_field: &str,
) -> Result<(String, Map<String, Value>), Invalid> {
    let Some(Value::Object(mut device)) = device else {
        return Err(Invalid::new("required", "device", "device is required"));
    };
    let token = required(&device, token_field)?.to_owned();
    device.remove(token_field);
    Ok((token, device))
}

/// What a device is, of which there are two.
pub(super) fn platform(device: &Map<String, Value>) -> Result<(), Invalid> {
    if ["ios", "android"].contains(&required(device, "platform")?) {
        return Ok(());
    }
    let message = "platform must be one of ios, android";
    Err(Invalid::new("invalid", "platform", message))
}

/// The attributes of an identify.
pub(super) fn attributes(attributes: &Map<String, Value>, api: Api) -> Result<(), Invalid> {
    if attributes.len() > ATTRIBUTES {
        let message = "cannot identify more than 300 attributes in one request";
        return Err(Invalid::new("invalid", "attributes", message));
    }
    attributes
        .iter()
        .try_for_each(|(name, value)| attribute(name, value, api))
}

fn attribute(name: &str, value: &Value, api: Api) -> Result<(), Invalid> {
    if name.len() > ATTRIBUTE_NAME_BYTES {
        let message = "attribute name cannot be longer than 150 bytes";
        return Err(Invalid::new("invalid", "attributes", message));
    }
    let bytes = match value {
        Value::String(text) => text.len(),
        _ if name == PREFERENCES => 0,
        other => other.to_string().len(),
    };
    if bytes > ATTRIBUTE_VALUE_BYTES {
        let message = match api {
            Api::V1 => format!("value for attribute '{name}' cannot be longer than 1000 bytes"),
            // As recorded in rudder-transformer's tests.
            Api::V2 => "property value cannot be longer than 1000 bytes".to_owned(),
        };
        let field = format!("attributes.{name}");
        return Err(Invalid::new("invalid", &field, &message));
    }
    Ok(())
}

/// An event's name, and its data, which the caller's API calls `data_field`.
pub(super) fn event(
    name: Option<&Value>,
    data: Option<&Value>,
    data_field: &str,
) -> Result<(), Invalid> {
    let name = name.and_then(Value::as_str).unwrap_or_default().trim();
    if name.is_empty() {
        let message = "event name must not be blank";
        return Err(Invalid::new("required", "name", message));
    }
    if name.chars().count() >= EVENT_NAME_CHARACTERS {
        let message = "event name must be less than 500 characters";
        return Err(Invalid::new("invalid", "name", message));
    }
    if name.len() > EVENT_NAME_BYTES {
        let message = "event name cannot be longer than 100 bytes";
        return Err(Invalid::new("invalid", "name", message));
    }
    let refuse = |message| Err(Invalid::new("invalid", data_field, message));
    match data {
        // The Go client writes null for no data.
        Some(data) if !data.is_object() && !data.is_null() => refuse("event data must be a hash"),
        Some(data) if data.to_string().len() > EVENT_DATA_BYTES => {
            refuse("event data cannot be longer than 100000 bytes")
        }
        None | Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_measured_in_bytes_not_characters() {
        assert_eq!(person_id(&"ü".repeat(75), "id"), Ok(()));
        assert_eq!(person_id(&"ü".repeat(76), "id").unwrap_err().field, "id");
        assert_eq!(person_id("", "id").unwrap_err().reason, "required");
    }

    #[test]
    fn attributes_have_their_documented_limits() {
        let of = |value: Value| attributes(value.as_object().expect("an object"), Api::V1);
        let name = "attribute name cannot be longer than 150 bytes";
        let value = "value for attribute 'a' cannot be longer than 1000 bytes";
        let cases = [
            (json!({"a": "x".repeat(1000)}), None),
            (json!({"a": "x".repeat(1001)}), Some(value)),
            (json!({"a": "ü".repeat(500)}), None),
            (json!({"a": "ü".repeat(501)}), Some(value)),
            (json!({"a": vec![10; 400]}), Some(value)),
            (json!({"cio_subscription_preferences": vec![10; 400]}), None),
            (json!({"x".repeat(150): 1}), None),
            (json!({"x".repeat(151): 1}), Some(name)),
        ];
        for (given, expected) in cases {
            let found = of(given).err().map(|invalid| invalid.message);
            assert_eq!(found.as_deref(), expected);
        }
        let many = |count: u32| (0..count).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(attributes(&many(300), Api::V1), Ok(()));
        assert_eq!(
            attributes(&many(301), Api::V1).unwrap_err().message,
            "cannot identify more than 300 attributes in one request"
        );
    }

    #[test]
    fn events_have_their_documented_messages() {
        let blank = "event name must not be blank";
        let data = |bytes: usize| json!({"x": "x".repeat(bytes - r#"{"x":""}"#.len())});
        let cases = [
            (json!({}), Some(blank)),
            (json!({"name": "  "}), Some(blank)),
            (json!({"name": 5}), Some(blank)),
            (json!({"name": "ü".repeat(50)}), None),
            (
                json!({"name": "ü".repeat(51)}),
                Some("event name cannot be longer than 100 bytes"),
            ),
            (
                json!({"name": "ü".repeat(499)}),
                Some("event name cannot be longer than 100 bytes"),
            ),
            (
                json!({"name": "ü".repeat(500)}),
                Some("event name must be less than 500 characters"),
            ),
            (
                json!({"name": "n", "data": []}),
                Some("event data must be a hash"),
            ),
            (json!({"name": "n", "data": null}), None),
            (json!({"name": "n", "data": data(100_000)}), None),
            (
                json!({"name": "n", "data": data(100_001)}),
                Some("event data cannot be longer than 100000 bytes"),
            ),
        ];
        for (body, expected) in cases {
            let found = event(body.get("name"), body.get("data"), "data").err();
            assert_eq!(found.map(|it| it.message).as_deref(), expected);
        }
    }
}
