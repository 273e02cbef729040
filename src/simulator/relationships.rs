//! Pure: what a call says of relationships → nothing, or why it is refused. Nothing of it is kept.
//!
//! The two APIs write them differently. v1, in an identify: an object with an action and a list. v2, beside
//! the attributes: the list alone. The shapes are documented, the messages are not.

use serde_json::{Map, Value};

use super::identity::Identity;
use super::validation::{self, Api, Invalid};

pub(super) const FIELD: &str = "cio_relationships";
/// The documented size of all of them, which only v1 has room for.
const BYTES: usize = 100_000;
const ACTIONS: [&str; 2] = ["add_relationships", "delete_relationships"];

/// The one end of a relationship: how an element of the list names it.
type End = fn(Option<&Value>) -> Result<(), Invalid>;

/// In the body of a v1 identify.
pub(super) fn of_v1(given: &Value) -> Result<(), Invalid> {
    let Value::Object(fields) = given else {
        return refuse(
            FIELD,
            "cio_relationships must be a hash of action and relationships",
        );
    };
    let action = fields.get("action").and_then(Value::as_str);
    if !action.is_some_and(|action| ACTIONS.contains(&action)) {
        let message = "action must be one of add_relationships, delete_relationships";
        return refuse(&format!("{FIELD}.action"), message);
    }
    if given.to_string().len() > BYTES {
        return refuse(
            FIELD,
            "cio_relationships cannot be longer than 100000 bytes",
        );
    }
    let field = format!("{FIELD}.relationships");
    list(fields.get("relationships"), &field, object)
}

/// In a v2 operation of a person: with objects.
pub(super) fn of_person(given: Option<&Value>) -> Result<(), Invalid> {
    list(given, FIELD, object)
}

/// In a v2 operation of an object: with people.
pub(super) fn of_object(given: Option<&Value>) -> Result<(), Invalid> {
    list(given, FIELD, person)
}

fn list(given: Option<&Value>, field: &str, end: End) -> Result<(), Invalid> {
    let Some(Value::Array(relationships)) = given else {
        return refuse(field, &format!("{field} must be an array"));
    };
    for (index, given) in relationships.iter().enumerate() {
        let field = format!("{field}.{index}");
        let Value::Object(relationship) = given else {
            return refuse(&field, "a relationship must be a hash with identifiers");
        };
        one(relationship, end).map_err(|invalid| Invalid {
            field: format!("{field}.{}", invalid.field),
            ..invalid
        })?;
    }
    Ok(())
}

fn one(relationship: &Map<String, Value>, end: End) -> Result<(), Invalid> {
    end(relationship.get("identifiers"))?;
    match relationship.get("relationship_attributes") {
        None => Ok(()),
        Some(Value::Object(attributes)) => {
            validation::attributes(attributes, Api::V2).map_err(|invalid| Invalid {
                field: format!("relationship_{}", invalid.field),
                ..invalid
            })
        }
        Some(_) => refuse(
            "relationship_attributes",
            "relationship_attributes must be a hash",
        ),
    }
}

/// An object is named by `object_type_id` and `object_id`, or by an id that Customer.io gave.
pub(super) fn object(identifiers: Option<&Value>) -> Result<(), Invalid> {
    let named = identifiers.and_then(Value::as_object);
    let has = |name: &str| match named.and_then(|names| names.get(name)) {
        Some(Value::String(text)) => !text.is_empty(),
        // Types are numbers from 1, written as text by those who follow the documentation.
        Some(Value::Number(_)) => name == "object_type_id",
        _ => false,
    };
    if !(has("cio_object_id") || (has("object_type_id") && has("object_id"))) {
        let message = "object_type_id and object_id are required";
        return Err(Invalid::new("required", "identifiers", message));
    }
    named
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name, value.as_str()?)))
        .try_for_each(|(name, id)| validation::person_id(id, &format!("identifiers.{name}")))
}

fn person(identifiers: Option<&Value>) -> Result<(), Invalid> {
    Identity::from_identifiers(identifiers).map(drop)
}

fn refuse(field: &str, message: &str) -> Result<(), Invalid> {
    Err(Invalid::new("invalid", field, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A relationship with an object, and what is wrong with others.
    fn cases() -> [(Value, Option<&'static str>); 11] {
        let object = json!({"object_type_id": "1", "object_id": "acme"});
        let with = |attributes: Value| json!({"identifiers": object, "relationship_attributes": attributes});
        [
            (json!({"identifiers": object}), None),
            (
                json!({"identifiers": {"object_type_id": 1, "object_id": "acme"}}),
                None,
            ),
            (json!({"identifiers": {"cio_object_id": "x"}}), None),
            (with(json!({"role": "admin"})), None),
            (with(json!([])), Some("0.relationship_attributes")),
            (
                with(json!({"role": "x".repeat(1001)})),
                Some("0.relationship_attributes.role"),
            ),
            (json!({}), Some("0.identifiers")),
            (
                json!({"identifiers": {"object_id": "acme"}}),
                Some("0.identifiers"),
            ),
            (
                json!({"identifiers": {"object_type_id": "1", "object_id": 5}}),
                Some("0.identifiers"),
            ),
            (
                json!({"identifiers": {"object_type_id": "1", "object_id": "x".repeat(151)}}),
                Some("0.identifiers.object_id"),
            ),
            (json!("acme"), Some("0")),
        ]
    }

    #[test]
    fn a_person_s_relationships_are_a_list_in_v2_and_an_action_with_a_list_in_v1() {
        for (relationship, wrong) in cases() {
            let list = json!([relationship]);
            let of_v2 = of_person(Some(&list)).err().map(|it| it.field);
            let in_v2 = wrong.map(|field| format!("cio_relationships.{field}"));
            assert_eq!(of_v2, in_v2, "{relationship}");
            for action in ACTIONS {
                let given = json!({"action": action, "relationships": list});
                let found = of_v1(&given).err().map(|it| it.field);
                let in_v1 = wrong.map(|field| format!("cio_relationships.relationships.{field}"));
                assert_eq!(found, in_v1, "{given}");
                assert!(of_person(Some(&given)).is_err(), "{given} in v2");
            }
            assert!(of_v1(&list).is_err(), "{list} in v1");
        }
    }

    #[test]
    fn what_is_no_relationship_is_refused_by_its_field() {
        let long =
            json!({"action": "add_relationships", "relationships": [], "x": "x".repeat(BYTES)});
        for (given, field) in [
            (json!("x"), "cio_relationships"),
            (json!({"relationships": []}), "cio_relationships.action"),
            (
                json!({"action": "add", "relationships": []}),
                "cio_relationships.action",
            ),
            (
                json!({"action": "add_relationships"}),
                "cio_relationships.relationships",
            ),
            (long, "cio_relationships"),
        ] {
            assert_eq!(of_v1(&given).unwrap_err().field, field);
        }
        assert!(of_person(None).is_err());
    }

    #[test]
    fn an_object_s_relationships_are_with_people() {
        let with = |identifiers: Value| json!([{"identifiers": identifiers}]);
        for people in [
            json!({"id": "42"}),
            json!({"email": "a@x.io"}),
            json!({"cio_id": "1"}),
        ] {
            assert_eq!(of_object(Some(&with(people))), Ok(()));
        }
        for other in [
            json!({"object_type_id": "1", "object_id": "acme"}),
            json!({}),
            json!({"id": 5}),
        ] {
            let invalid = of_object(Some(&with(other))).unwrap_err();
            assert!(invalid.field.starts_with("cio_relationships.0.identifiers"));
        }
    }
}
