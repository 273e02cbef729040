//! Pure: the body of a v2 call → operations, and what is refused of them.

use serde_json::{Map, Value};

use super::identity::Identity;
use super::operation::{Event, Operation};
use super::relationships;
use super::v1;
use super::validation::{self, Api, Invalid};

/// The documented limits: a whole batch, and an item of it or an entity.
const BATCH_BYTES: usize = 500_000;
const ITEM_BYTES: usize = 32 * 1024;

/// A batch, read: what is valid, in its order, and which items are not.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Batch {
    pub(super) operations: Vec<Operation>,
    /// Index in the batch, from 0, and why.
    pub(super) refused: Vec<(usize, Invalid)>,
}

impl Batch {
    /// Refuses the first item, unless it is refused already.
    pub(super) fn refuse_first(&mut self) {
        let refused = self.refused.first().is_some_and(|(index, _)| *index == 0);
        if refused || self.operations.is_empty() {
            return;
        }
        self.operations.remove(0);
        let invalid = Invalid::new(
            "invalid",
            "item",
            "item refused by a fault of the simulator",
        );
        self.refused.insert(0, (0, invalid));
    }
}

/// `POST /api/v2/batch`; an error refuses the batch whole.
pub(super) fn batch(body: &[u8]) -> Result<Batch, Invalid> {
    if body.len() > BATCH_BYTES {
        let message = "batch cannot be longer than 500000 bytes";
        return Err(Invalid::new("invalid", "batch", message));
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
        let message = "request body must be a JSON object";
        return Err(Invalid::new("invalid", "body", message));
    };
    let Some(Value::Array(items)) = fields.remove("batch") else {
        return Err(Invalid::new("required", "batch", "batch must be an array"));
    };
    let mut batch = Batch::default();
    for (index, item) in items.into_iter().enumerate() {
        // As compact JSON: white space between items is not theirs.
        match operation_within(item.to_string().len(), item) {
            Ok(operation) => batch.operations.push(operation),
            Err(invalid) => batch.refused.push((index, invalid)),
        }
    }
    Ok(batch)
}

/// `POST /api/v2/entity`: one operation.
pub(super) fn entity(body: &[u8]) -> Result<Operation, Invalid> {
    let item = serde_json::from_slice(body).unwrap_or_default();
    operation_within(body.len(), item)
}

fn operation_within(bytes: usize, item: Value) -> Result<Operation, Invalid> {
    if bytes > ITEM_BYTES {
        let message = "item cannot be longer than 32768 bytes";
        return Err(Invalid::new("invalid", "item", message));
    }
    match item {
        Value::Object(fields) => operation(fields),
        _ => Err(Invalid::new(
            "invalid",
            "item",
            "item must be a JSON object",
        )),
    }
}

fn operation(fields: Map<String, Value>) -> Result<Operation, Invalid> {
    let kind = validation::required(&fields, "type")?;
    let action = validation::required(&fields, "action")?.to_owned();
    match (kind, action.as_str()) {
        ("person", "merge") => v1::merger(&fields),
        ("person", action) => of_person(action, fields),
        (
            "object",
            action @ ("identify" | "delete" | "add_relationships" | "delete_relationships"),
        ) => of_object(action, &fields),
        ("delivery", "event") => Ok(Operation::Report),
        _ => Err(unsupported(kind, &action)),
    }
}

fn unsupported(kind: &str, action: &str) -> Invalid {
    let message = format!("action {action} of type {kind} is not supported here");
    Invalid::new("invalid", "action", &message)
}

fn of_person(action: &str, mut fields: Map<String, Value>) -> Result<Operation, Invalid> {
    let identifiers = fields.remove("identifiers");
    let person = Identity::from_identifiers(identifiers.as_ref())?;
    let anonymous_is_fine = matches!(action, "event" | "page" | "screen");
    if matches!(person, Identity::Anonymous(_)) && !anonymous_is_fine {
        let message = "anonymous_id is for events only; use id, email, phone or cio_id";
        return Err(Invalid::new("invalid", "identifiers", message));
    }
    match action {
        "identify" => identify(person, fields),
        "event" | "page" | "screen" => event(person, action, &fields),
        "delete" => Ok(Operation::Delete(person)),
        "add_device" => add_device(person, fields),
        "delete_device" => delete_device(person, fields),
        "suppress" => Ok(Operation::Suppress(person)),
        "unsuppress" => Ok(Operation::Unsuppress(person)),
        "add_relationships" | "delete_relationships" => {
            relationships::of_person(fields.get(relationships::FIELD))?;
            Ok(Operation::Relate)
        }
        _ => Err(unsupported("person", action)),
    }
}

fn of_object(action: &str, fields: &Map<String, Value>) -> Result<Operation, Invalid> {
    relationships::object(fields.get("identifiers"))?;
    let related = fields.get(relationships::FIELD);
    match action {
        "add_relationships" | "delete_relationships" => relationships::of_object(related)?,
        "identify" => {
            validation::attributes(&attributes_of(fields.get("attributes").cloned())?, Api::V2)?;
            related.map_or(Ok(()), |_| relationships::of_object(related))?;
        }
        _ => {}
    }
    Ok(Operation::Relate)
}

fn add_device(person: Identity, mut fields: Map<String, Value>) -> Result<Operation, Invalid> {
    let (token, device) = validation::device(fields.remove("device"), "token")?;
    validation::platform(&device)?;
    Ok(Operation::AddDevice {
        person,
        token,
        device,
    })
}

fn delete_device(person: Identity, mut fields: Map<String, Value>) -> Result<Operation, Invalid> {
    let (token, _) = validation::device(fields.remove("device"), "token")?;
    Ok(Operation::DeleteDevice { person, token })
}

fn identify(person: Identity, mut fields: Map<String, Value>) -> Result<Operation, Invalid> {
    let attributes = attributes_of(fields.remove("attributes"))?;
    let related = fields.get(relationships::FIELD);
    related.map_or(Ok(()), |_| relationships::of_person(related))?;
    validation::attributes(&attributes, Api::V2)?;
    let at = fields
        .get("timestamp")
        .or_else(|| attributes.get("_timestamp"))
        .and_then(Value::as_i64);
    Ok(Operation::Identify {
        person,
        attributes,
        at,
    })
}

fn attributes_of(given: Option<Value>) -> Result<Map<String, Value>, Invalid> {
    match given {
        Some(Value::Object(attributes)) => Ok(attributes),
        None => Ok(Map::new()),
        Some(_) => {
            let message = "attributes must be a hash";
            Err(Invalid::new("invalid", "attributes", message))
        }
    }
}

fn event(person: Identity, kind: &str, fields: &Map<String, Value>) -> Result<Operation, Invalid> {
    // What v1 calls `data` is `attributes` in v2.
    validation::event(fields.get("name"), fields.get("attributes"), "attributes")?;
    Ok(Operation::Event(Event::read(person, kind, fields)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(items: &Value) -> Batch {
        batch(json!({ "batch": items }).to_string().as_bytes()).expect("a batch")
    }

    #[test]
    fn a_batch_takes_what_is_valid_and_names_what_is_not() {
        let person = json!({"id": "u"});
        let long = "x".repeat(1001);
        let cases = [
            (
                json!({"type": "person", "identifiers": person, "action": "identify", "attributes": {"a": 1}}),
                None,
            ),
            (
                json!({"type": "person", "identifiers": person, "action": "event", "name": "n"}),
                None,
            ),
            (
                json!({"type": "person", "identifiers": {"anonymous_id": "x"}, "action": "page", "name": "n"}),
                None,
            ),
            (
                json!({"type": "person", "identifiers": person, "action": "delete"}),
                None,
            ),
            (
                json!({"type": "person", "identifiers": person, "action": "event", "name": " "}),
                Some(("name", "event name must not be blank")),
            ),
            (
                json!({"type": "person", "identifiers": person, "action": "event", "name": "n", "attributes": 1}),
                Some(("attributes", "event data must be a hash")),
            ),
            (
                json!({"type": "person", "identifiers": person, "action": "identify", "attributes": {"suburb": long}}),
                Some((
                    "attributes.suburb",
                    "property value cannot be longer than 1000 bytes",
                )),
            ),
            (
                json!({"type": "person", "identifiers": person, "action": "identify", "attributes": []}),
                Some(("attributes", "attributes must be a hash")),
            ),
            (
                json!({"type": "person", "identifiers": {"anonymous_id": "x"}, "action": "delete"}),
                Some((
                    "identifiers",
                    "anonymous_id is for events only; use id, email, phone or cio_id",
                )),
            ),
            (
                json!({"type": "person", "action": "delete"}),
                Some((
                    "identifiers",
                    "exactly one of id, email, phone, cio_id is required",
                )),
            ),
            (
                json!({"type": "person", "identifiers": person, "action": "explode"}),
                Some((
                    "action",
                    "action explode of type person is not supported here",
                )),
            ),
            (
                json!({"type": "object", "action": "event"}),
                Some((
                    "action",
                    "action event of type object is not supported here",
                )),
            ),
            (
                json!({"type": "person"}),
                Some(("action", "action is required")),
            ),
            (
                json!({"action": "event"}),
                Some(("type", "type is required")),
            ),
            (json!(5), Some(("item", "item must be a JSON object"))),
        ];
        let items: Vec<&Value> = cases.iter().map(|(item, _)| item).collect();
        let batch = read(&json!(items));
        let refused: Vec<_> = batch
            .refused
            .iter()
            .map(|(index, it)| (*index, it.field.as_str(), it.message.as_str()))
            .collect();
        let expected: Vec<_> = cases
            .iter()
            .enumerate()
            .filter_map(|(index, (_, error))| error.map(|(field, message)| (index, field, message)))
            .collect();
        assert_eq!(refused, expected);
        let kinds: Vec<_> = batch.operations.iter().map(Operation::kind).collect();
        assert_eq!(kinds, ["identify", "event", "event", "delete"]);
    }

    #[test]
    fn what_an_action_needs_is_named() {
        let u = json!({"id": "u"});
        let cases = [
            (
                json!({"type": "object", "action": "identify", "identifiers": {"object_id": "1"}}),
                "identifiers",
            ),
            (
                json!({"type": "person", "identifiers": u, "action": "add_device"}),
                "device",
            ),
            (
                json!({"type": "person", "identifiers": u, "action": "add_device", "device": {"token": "t"}}),
                "platform",
            ),
            (
                json!({"type": "person", "identifiers": u, "action": "add_device", "device": {"token": "t", "platform": "iOS"}}),
                "platform",
            ),
            (
                json!({"type": "person", "identifiers": u, "action": "delete_device", "device": {"id": "t"}}),
                "token",
            ),
            (
                json!({"type": "person", "identifiers": u, "action": "add_relationships"}),
                "cio_relationships",
            ),
            (
                json!({"type": "person", "identifiers": u, "action": "identify",
                       "cio_relationships": {"action": "add_relationships", "relationships": []}}),
                "cio_relationships",
            ),
            (
                json!({"type": "object", "identifiers": {"cio_object_id": "x"}, "action": "identify", "attributes": 1}),
                "attributes",
            ),
            (
                json!({"type": "object", "identifiers": {"cio_object_id": "x"}, "action": "add_relationships"}),
                "cio_relationships",
            ),
            (
                json!({"type": "person", "action": "merge", "primary": u}),
                "secondary",
            ),
        ];
        for (item, field) in cases {
            let refused = read(&json!([item])).refused;
            assert_eq!(refused[0].1.field, field, "{item}");
        }
    }

    #[test]
    fn every_documented_action_is_taken() {
        let u = json!({"id": "u"});
        let related = json!([{"identifiers": {"object_type_id": "1", "object_id": "acme"}}]);
        let object = related[0]["identifiers"].clone();
        let items = json!([
            {"type": "person", "identifiers": u, "action": "add_device", "device": {"token": "t", "platform": "ios"}},
            {"type": "person", "identifiers": u, "action": "delete_device", "device": {"token": "t"}},
            {"type": "person", "identifiers": u, "action": "suppress"},
            {"type": "person", "identifiers": u, "action": "unsuppress"},
            {"type": "person", "action": "merge", "primary": u, "secondary": {"email": "a@x.io"}},
            {"type": "person", "identifiers": u, "action": "screen", "name": "n"},
            {"type": "person", "identifiers": u, "action": "add_relationships", "cio_relationships": related},
            {"type": "person", "identifiers": u, "action": "delete_relationships", "cio_relationships": related},
            {"type": "person", "identifiers": u, "action": "identify", "cio_relationships": related},
            {"type": "object", "identifiers": object, "action": "identify", "attributes": {}},
            {"type": "object", "identifiers": object, "action": "identify", "cio_relationships": [{"identifiers": u}]},
            {"type": "object", "identifiers": object, "action": "delete_relationships", "cio_relationships": [{"identifiers": u}]},
            {"type": "object", "identifiers": {"cio_object_id": "x"}, "action": "delete"},
            {"type": "delivery", "identifiers": {"id": "d"}, "action": "event"},
        ]);
        let batch = read(&items);
        assert_eq!(batch.refused, []);
        let kinds: Vec<_> = batch.operations.iter().map(Operation::kind).collect();
        let expected = [
            "add_device",
            "delete_device",
            "suppress",
            "unsuppress",
            "merge",
            "event",
            "relate",
            "relate",
            "identify",
            "relate",
            "relate",
            "relate",
            "relate",
            "report",
        ];
        assert_eq!(kinds, expected);
    }

    /// An event of exactly so many bytes.
    fn item_of(bytes: usize) -> Value {
        let item = |pad: usize| {
            json!({"type": "person", "identifiers": {"id": "u"}, "action": "event", "name": "n",
                   "attributes": {"pad": "x".repeat(pad)}})
        };
        item(bytes - item(0).to_string().len())
    }

    #[test]
    fn sizes_are_held_to_the_byte() {
        let batch_of = |bytes: usize| {
            let empty = json!({"batch": [], "pad": ""}).to_string().len();
            json!({"batch": [], "pad": "x".repeat(bytes - empty)}).to_string()
        };
        assert!(batch(batch_of(500_000).as_bytes()).is_ok());
        assert_eq!(
            batch(batch_of(500_001).as_bytes()).unwrap_err().field,
            "batch"
        );
        assert!(read(&json!([item_of(32_768)])).refused.is_empty());
        assert_eq!(read(&json!([item_of(32_769)])).refused[0].1.field, "item");
        assert!(entity(item_of(32_768).to_string().as_bytes()).is_ok());
        assert!(entity(item_of(32_769).to_string().as_bytes()).is_err());
    }

    #[test]
    fn what_is_no_batch_is_refused_whole() {
        for body in ["", "[]", "{}", "{\"batch\": 1}", "{\"batch\": ["] {
            assert!(batch(body.as_bytes()).is_err(), "{body}");
        }
        assert!(entity(b"[").is_err());
    }
}
