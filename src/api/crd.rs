//! The CRD: the type's schema with the defaults written into it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use super::defaults::{defaults, write_into_schema};
use super::pipeline::CioPipeline;

/// The `CustomResourceDefinition`, with every default of `spec` in its schema.
///
/// # Errors
/// When the generated schema does not have the shape that Kubernetes asks for; a test holds that.
pub fn crd() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = serde_json::to_value(CioPipeline::crd())?;
    if let Some(spec) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec") {
        write_into_schema(spec, &defaults());
        strip_formats(spec);
    }
    serde_json::from_value(crd)
}

/// Drops number formats that Kubernetes does not know (schemars writes Rust's).
fn strip_formats(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|f| f.starts_with("uint"))
            {
                fields.remove("format");
            }
            fields.values_mut().for_each(strip_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_formats),
        _ => {}
    }
}
