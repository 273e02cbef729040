//! The CRD: the type's schema with the defaults written into it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use super::defaults::{defaults, write_into_schema};
use super::pipeline::CioPipeline;

/// Where the schema of `spec` is.
const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";

/// Where the schema of `status` is.
const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status";

/// The `CustomResourceDefinition`, with every default of `spec` in its schema.
///
/// # Errors
/// When the generated schema does not have the shape that Kubernetes asks for; a test holds that.
pub fn crd() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = serde_json::to_value(CioPipeline::crd())?;
    if let Some(spec) = crd.pointer_mut(SPEC) {
        write_into_schema(spec, &defaults());
        adapt(spec);
        bound_behavior(spec);
    }
    if let Some(Value::Object(status)) = crd.pointer_mut(STATUS) {
        // To kstatus a resource without a status is done. This one is not: nobody has looked at it.
        status.insert("default".to_owned(), json!({"observedGeneration": -1}));
    }
    serde_json::from_value(crd)
}

/// The longest list and map where the type itself names no bound: CEL rules are priced by it.
const MOST_ITEMS: u64 = 100;

/// What Kubernetes asks of a schema and schemars does not write: bounds on every list and map, no
/// number formats of Rust's, and no `nullable`, which would let a null through in place of a default.
fn adapt(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let format = fields.get("format").and_then(Value::as_str);
            if format.is_some_and(|format| format.starts_with("uint")) {
                fields.remove("format");
            }
            fields.remove("nullable");
            let kind = fields
                .get("type")
                .and_then(Value::as_str)
                .map(str::to_owned);
            match kind.as_deref() {
                Some("array") => bound(fields, "maxItems"),
                Some("object") if fields.contains_key("additionalProperties") => {
                    bound(fields, "maxProperties");
                }
                _ => {}
            }
            fields.values_mut().for_each(adapt);
        }
        Value::Array(items) => items.iter_mut().for_each(adapt),
        _ => {}
    }
}

fn bound(fields: &mut Map<String, Value>, name: &str) {
    fields.entry(name).or_insert_with(|| MOST_ITEMS.into());
}

/// The HPA's own bounds, which its Go validation has and its schema has not: here the user is told
/// at once, and not when the operator applies the HPA.
fn bound_behavior(spec: &mut Value) {
    let behavior = "/properties/autoscaling/properties/behavior/properties";
    for direction in ["scaleUp", "scaleDown"] {
        let rules = format!("{behavior}/{direction}/properties");
        let policy = format!("{rules}/policies/items/properties");
        let bounds = [
            (
                format!("{rules}/policies"),
                json!({"minItems": 1, "maxItems": 20}),
            ),
            (
                format!("{rules}/stabilizationWindowSeconds"),
                json!({"minimum": 0, "maximum": 3600}),
            ),
            (
                format!("{rules}/selectPolicy"),
                json!({"enum": ["Max", "Min", "Disabled"]}),
            ),
            (
                format!("{policy}/type"),
                json!({"enum": ["Pods", "Percent"]}),
            ),
            (format!("{policy}/value"), json!({"minimum": 1})),
            (
                format!("{policy}/periodSeconds"),
                json!({"minimum": 1, "maximum": 1800}),
            ),
        ];
        for (pointer, bounds) in bounds {
            if let (Some(Value::Object(field)), Value::Object(bounds)) =
                (spec.pointer_mut(&pointer), bounds)
            {
                field.extend(bounds);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Value {
        let crd = serde_json::to_value(crd().expect("a CRD")).expect("JSON");
        crd.pointer(SPEC).expect("a schema").clone()
    }

    #[test]
    fn every_list_and_map_is_bounded_and_nothing_is_nullable() {
        fn check(schema: &Value, path: &str) {
            if let Value::Object(fields) = schema {
                let is = |kind| fields.get("type") == Some(&json!(kind));
                assert!(!is("array") || fields.contains_key("maxItems"), "{path}");
                let map = is("object") && fields.contains_key("additionalProperties");
                assert!(!map || fields.contains_key("maxProperties"), "{path}");
                assert!(!fields.contains_key("nullable"), "{path}");
                for (name, inner) in fields {
                    check(inner, &format!("{path}/{name}"));
                }
            }
        }
        check(&spec(), "");
    }

    #[test]
    fn the_hpas_own_bounds_stand_in_the_schema() {
        let rules = "/properties/autoscaling/properties/behavior/properties/scaleDown/properties";
        let spec = spec();
        let at = |path: &str| spec.pointer(&format!("{rules}/{path}")).cloned();
        assert_eq!(at("policies/minItems"), Some(json!(1)));
        assert_eq!(
            at("policies/items/properties/periodSeconds/maximum"),
            Some(json!(1800.0))
        );
        assert_eq!(
            at("stabilizationWindowSeconds/maximum"),
            Some(json!(3600.0))
        );
    }
}
