//! Variables of the worker container that a user adds.

use k8s_openapi::api::core::v1::EnvVarSource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The variables that the operator itself gives the worker, from other fields of the spec. One that it gives
/// only some of the pipelines is taken in all of them.
pub const TAKEN: [&str; 20] = [
    "CIO_CONCURRENCY",
    "CIO_DELIVERY_MODE",
    "CIO_GRACE",
    "CIO_KEEP_COMPLETED",
    "CIO_KEEP_FAILED",
    "CIO_MAX_CONCURRENT",
    "CIO_METRICS_PORT",
    "CIO_PIPELINE",
    "CIO_QUEUE",
    "CIO_QUEUE_HEALTH_LOG",
    "CIO_QUEUE_PREFIX",
    "CIO_REDIS_CA_FILE",
    "CIO_REDIS_URL_FILE",
    "CIO_REQUESTS_PER_SECOND",
    "CUSTOMERIO_CREDENTIALS_DIR",
    "CUSTOMERIO_REGION",
    "CUSTOMERIO_SITE_ID",
    "CUSTOMERIO_TRACK_API_KEY",
    "CUSTOMERIO_TRACK_URL",
    "REDIS_URL",
];

/// What a user reads who takes one.
pub const TAKEN_MESSAGE: &str = "spec.worker.template.env must not name a variable that the operator sets from \
     other fields (REDIS_URL, CIO_QUEUE, CIO_CONCURRENCY, CUSTOMERIO_SITE_ID and so on): set the field instead";

/// A variable.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub value: Option<String>,
    /// Or where its value is: a key of a Secret or a `ConfigMap`, a field of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvVarSource>,
}

impl Variable {
    /// Whether the operator sets one of that name.
    pub fn is_taken(&self) -> bool {
        TAKEN.contains(&self.name.as_str())
    }
}

/// The rule of the CRD, in CEL.
pub(super) fn free_names() -> String {
    let names = TAKEN.map(|it| format!("'{it}'"));
    format!(
        "!has(self.template.env) || self.template.env.all(it, !(it.name in [{}]))",
        names.join(", ")
    )
}

/// A list whose items are known by their names, for server-side apply.
pub(super) fn variables_schema(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<Variable>();
    json_schema!({
        "type": "array",
        "items": item,
        "maxItems": 50,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    })
}
