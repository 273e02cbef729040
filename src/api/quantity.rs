//! The schema of a Kubernetes quantity: a number or a string, as the API server itself takes it.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `100m`, `64Mi`, `2`: what `x-kubernetes-int-or-string` takes, in the form of a quantity.
pub(super) fn quantity_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "pattern": "^[+]?[0-9]+(\\.[0-9]+)?([numkMGTPE]|Ki|Mi|Gi|Ti|Pi|Ei)?$",
    })
}
