//! Every default of `spec`, as one document: the schema and `cio render` both take them from here.
//!
//! Defaults merge by leaf: an object is merged key by key, anything else is taken whole. So
//! `scaleUp` alone keeps `scaleDown`'s defaults, and a memory request alone keeps the cpu request.

use serde_json::{Value, json};

/// The defaults, shaped like `spec`. Rows Q1, Q3, Q5 and H1 to H4 of the guide.
pub(super) fn defaults() -> Value {
    json!({
        "suspend": false,
        "queue": {
            "name": "cio-events",
            "prefix": "bull",
            "retention": {"completed": 10_000, "failed": 50_000}
        },
        "workspace": {
            "region": "us",
            "credentialsSecretRef": {
                "name": "customerio", "siteIdKey": "siteId", "apiKeyKey": "apiKey"
            },
            "rateLimit": {"requestsPerSecond": 80}
        },
        "delivery": {"mode": "Batch"},
        "worker": {
            "image": "",
            "concurrency": 10,
            "maxConcurrent": 15,
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"memory": "256Mi"}
            },
            "template": {"terminationGracePeriodSeconds": 30}
        },
        "sidecar": {
            "port": 9100,
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"memory": "64Mi"}
            }
        },
        "autoscaling": {
            "minReplicas": 2,
            "maxReplicas": 20,
            "cpuUtilization": 70,
            "queueDepth": 500,
            "metricSource": "Pods",
            "whenSaturated": "Scale",
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 60,
                    "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "policies": [{"type": "Pods", "value": 2, "periodSeconds": 120}]
                }
            }
        },
        "monitoring": {"podMonitor": false}
    })
}

/// Fills what `given` leaves out, as the API server does with the schema's defaults.
pub(super) fn fill(given: &mut Value, defaults: &Value) {
    let (Value::Object(given), Value::Object(defaults)) = (given, defaults) else {
        return;
    };
    for (key, default) in defaults {
        match given.get_mut(key) {
            Some(value) if !value.is_null() => fill(value, default),
            // To the API server a null where none is allowed is a field that is not there.
            _ => {
                given.insert(key.clone(), default.clone());
            }
        }
    }
}

/// Writes the defaults into a structural schema: at each leaf its own, so that they merge by leaf,
/// and at each object its whole subtree, because the API server checks a default as it stands. An
/// object with a field that only the user can give gets none. A field with a default is not required.
pub(super) fn write_into_schema(schema: &mut Value, defaults: &Value) {
    let Some(defaults) = defaults.as_object() else {
        return;
    };
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| {
            !name
                .as_str()
                .is_some_and(|name| defaults.contains_key(name))
        });
    }
    drop_empty_required(schema);
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, default) in defaults {
        let Some(property) = properties.get_mut(name) else {
            continue;
        };
        write_into_schema(property, default);
        if let Some(property) = property.as_object_mut()
            && !property.contains_key("required")
        {
            property.insert("default".to_owned(), default.clone());
        }
    }
}

fn drop_empty_required(schema: &mut Value) {
    let empty = schema
        .get("required")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty);
    if let (true, Some(fields)) = (empty, schema.as_object_mut()) {
        fields.remove("required");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_override_keeps_every_other_leaf() {
        let mut given = json!({
            "autoscaling": {"behavior": {"scaleUp": {"stabilizationWindowSeconds": 0}}},
            "worker": {"resources": {"requests": {"memory": "1Gi"}}}
        });
        given["sidecar"] = json!({"resources": {"requests": {"cpu": null}}});
        fill(&mut given, &defaults());
        assert_eq!(given["sidecar"]["resources"]["requests"]["cpu"], "10m");
        let behavior = &given["autoscaling"]["behavior"];
        assert_eq!(behavior["scaleUp"]["stabilizationWindowSeconds"], 0);
        assert_eq!(behavior["scaleUp"]["policies"][0]["value"], 4);
        assert_eq!(
            behavior["scaleDown"],
            defaults()["autoscaling"]["behavior"]["scaleDown"]
        );
        assert_eq!(given["worker"]["resources"]["requests"]["cpu"], "100m");
        assert_eq!(given["worker"]["resources"]["requests"]["memory"], "1Gi");
    }

    #[test]
    fn only_an_object_that_needs_the_user_has_no_default() {
        let mut schema = json!({"required": ["a", "b"], "properties": {
            "a": {"required": ["x"], "properties": {"x": {}, "y": {}}},
            "b": {"required": ["z"], "properties": {"z": {}}},
        }});
        write_into_schema(&mut schema, &json!({"a": {"y": 1}, "b": {"z": 2}}));
        assert_eq!(schema["properties"]["a"]["properties"]["y"]["default"], 1);
        assert_eq!(schema["properties"]["a"].get("default"), None);
        assert_eq!(schema["properties"]["b"]["default"], json!({"z": 2}));
        assert_eq!(schema.get("required"), None);
    }
}
