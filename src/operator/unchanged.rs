//! Pure: does the API server already hold what we would apply? Then nothing is written.
//!
//! An object counts as unchanged when it carries the hash of what we would apply (so that a field
//! taken out of the desired state is noticed) and still has every value of it (so that somebody
//! else's edit is noticed).

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::quantity::amount;

/// The annotation that carries the hash.
const HASH_ANNOTATION: &str = "cio.dev/applied-hash";

/// Adds the hash of the object to the object.
pub(super) fn mark<K: Resource + Serialize>(mut object: K) -> Result<K, serde_json::Error> {
    let digest = Sha256::digest(serde_json::to_vec(&object)?);
    let hash = digest
        .iter()
        .take(8)
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    object
        .annotations_mut()
        .insert(HASH_ANNOTATION.to_owned(), hash);
    Ok(object)
}

/// Whether `observed` is what applying `desired` would lead to.
pub(super) fn unchanged<K: Serialize>(
    observed: &K,
    desired: &K,
) -> Result<bool, serde_json::Error> {
    let observed = serde_json::to_value(observed)?;
    let desired = serde_json::to_value(desired)?;
    Ok(covers(&observed, &desired))
}

/// Whether every value of `desired` stands in `observed` too.
fn covers(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (Value::Object(observed), Value::Object(desired)) => {
            desired.iter().all(|(key, desired)| {
                observed
                    .get(key)
                    .map_or_else(|| is_empty(desired), |found| covers(found, desired))
            })
        }
        (Value::Array(observed), Value::Array(desired)) => {
            observed.len() == desired.len()
                && observed
                    .iter()
                    .zip(desired)
                    .all(|(found, desired)| covers(found, desired))
        }
        (Value::String(observed), Value::String(desired)) => same_text(observed, desired),
        (observed, desired) => observed == desired,
    }
}

/// The API server leaves out what is empty: `value: ""` does not come back.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The API server spells quantities its own way: `0.1` comes back as `100m`.
fn same_text(observed: &str, desired: &str) -> bool {
    let amount_of = |text: &str| amount(&Quantity(text.to_owned()));
    observed == desired
        || amount_of(observed).is_some_and(|found| amount_of(desired) == Some(found))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_empty_may_be_left_out_by_the_server() {
        for empty in [json!(""), json!({}), json!([]), json!(null)] {
            let desired = json!({"name": "X", "value": empty});
            assert!(covers(&json!({"name": "X"}), &desired), "{empty}");
            let filled = json!({"name": "X", "value": "filled"});
            assert!(!covers(&filled, &desired), "{empty}");
        }
        for value in [json!(0), json!(false), json!("x"), json!([1])] {
            assert!(!covers(&json!({}), &json!({"value": value})), "{value}");
        }
    }

    #[test]
    fn what_the_server_adds_does_not_matter_and_what_it_lacks_does() {
        let desired = json!({"a": 1, "b": [{"c": "x"}]});
        let cases = [
            (
                json!({"a": 1, "b": [{"c": "x", "added": true}], "z": 0}),
                true,
            ),
            (json!({"a": 2, "b": [{"c": "x"}]}), false),
            (json!({"a": 1, "b": []}), false),
            (json!({"a": 1, "b": [{"c": "x"}, {"c": "y"}]}), false),
            (json!({"b": [{"c": "x"}]}), false),
        ];
        assert!(covers(&json!({"cpu": "100m"}), &json!({"cpu": "0.1"})));
        assert!(!covers(&json!({"cpu": "100m"}), &json!({"cpu": "0.2"})));
        for (observed, expected) in cases {
            assert_eq!(covers(&observed, &desired), expected, "{observed}");
        }
    }
}
