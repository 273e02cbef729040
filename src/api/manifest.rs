//! A manifest file → a typed resource. Unknown fields are refused, as `kubectl apply` does.

use serde::de::IntoDeserializer;
use serde_json::Value;

use super::defaults::{defaults, fill};
use super::pipeline::CioPipeline;

/// Why a manifest is refused; each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not YAML, or not one document.
    #[error("cannot read the YAML: {0}")]
    ReadYaml(String),
    /// It is something else.
    #[error("apiVersion and kind must be cio.dev/v1alpha1 and CioPipeline, not {0}")]
    RecogniseKind(String),
    /// It has fields that the type does not.
    #[error("unknown field {0}: check the spelling and the indentation")]
    AcceptField(String),
    /// A field has the wrong type, or a required one is missing.
    #[error("{path}: {message}")]
    ReadField {
        /// The field.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// Reads one manifest, fills in every default, refuses unknown fields.
pub fn parse(yaml: &str) -> Result<CioPipeline, ManifestError> {
    let mut manifest: Value =
        serde_saphyr::from_str(yaml).map_err(|error| ManifestError::ReadYaml(error.to_string()))?;
    check_kind(&manifest)?;
    if let Some(fields) = manifest.as_object_mut() {
        // Checked, and not fields of the type.
        fields.remove("apiVersion");
        fields.remove("kind");
        let spec = fields
            .entry("spec")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        fill(spec, &defaults());
    }
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(manifest.into_deserializer(), &mut track);
    let pipeline: Result<CioPipeline, _> =
        serde_ignored::deserialize(tracked, |path| unknown.push(path.to_string()));
    if let Some(field) = unknown.into_iter().next() {
        return Err(ManifestError::AcceptField(field));
    }
    pipeline.map_err(|error| ManifestError::ReadField {
        path: track.path().to_string(),
        message: error.to_string(),
    })
}

fn check_kind(manifest: &Value) -> Result<(), ManifestError> {
    let field = |name| {
        manifest
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("nothing")
    };
    let found = (field("apiVersion"), field("kind"));
    if found == ("cio.dev/v1alpha1", "CioPipeline") {
        return Ok(());
    }
    Err(ManifestError::RecogniseKind(format!(
        "{} and {}",
        found.0, found.1
    )))
}
