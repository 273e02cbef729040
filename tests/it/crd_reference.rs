//! docs/ciopipeline.md is the schema of the custom resource, field by field: it is generated.
//! `UPDATE=1 cargo test --test it reference` writes it.

use std::fmt::Write;

use serde_json::Value;

use crate::generated::check;

const HEAD: &str = "\
# CioPipeline

Generated from the schema by `UPDATE=1 cargo test --test it reference`; a test holds it current. `kubectl explain ciopipeline.spec` says the same.
`examples/pipeline.yaml` is the smallest one. The API server fills in every default, and refuses what breaks a rule with the sentence given here.
";

/// Kubernetes' own types below these: its documentation has their fields.
const KUBERNETES: [&str; 2] = ["spec.autoscaling.behavior", "spec.worker.template."];

#[test]
fn the_reference_of_the_resource_is_its_schema() {
    let crd = cio_operator::api::crd().expect("the CRD");
    let crd = serde_json::to_value(crd).expect("JSON");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut page = HEAD.to_owned();
    for part in ["spec", "status"] {
        let mut fields = Vec::new();
        let mut rules = messages(&schema["properties"][part]);
        walk(part, &schema["properties"][part], &mut fields, &mut rules);
        writeln!(page, "\n## {part}\n").expect("text");
        page.push_str("| field | type | default | |\n|---|---|---|---|\n");
        page.extend(fields);
        if part == "spec" {
            let of_all = messages(schema);
            page.push_str("\n## Rules\n\n");
            for rule in of_all.iter().chain(&rules) {
                writeln!(page, "- {rule}").expect("text");
            }
        }
    }
    check("docs/ciopipeline.md", &page);
}

/// A row for each field below `path`, and what its rules say.
fn walk(path: &str, schema: &Value, fields: &mut Vec<String>, rules: &mut Vec<String>) {
    let properties = schema["properties"].as_object();
    for (name, field) in properties.into_iter().flatten() {
        let path = format!("{path}.{name}");
        let required = schema["required"].as_array();
        let required = required.is_some_and(|it| it.contains(&Value::from(name.as_str())));
        let inner = if field["type"] == "array" {
            &field["items"]
        } else {
            field
        };
        let ours = !KUBERNETES.iter().any(|it| path.starts_with(it));
        let descends = ours && inner["properties"].is_object();
        if !descends {
            fields.push(row(&path, field, required));
        }
        rules.extend(messages(field));
        if descends {
            let path = if field["type"] == "array" {
                format!("{path}[]")
            } else {
                path
            };
            walk(&path, inner, fields, rules);
        }
    }
}

fn row(path: &str, field: &Value, required: bool) -> String {
    let default = match &field["default"] {
        Value::Null if required => "required".to_owned(),
        Value::Null => String::new(),
        Value::Object(_) if path.starts_with(KUBERNETES[0]) => "the guide's policies".to_owned(),
        default => format!("`{default}`"),
    };
    let description = field["description"].as_str().unwrap_or_default();
    let description = description.split("\n\n").next().unwrap_or_default();
    let description = description.replace('\n', " ").replace('|', "\\|");
    let description = description.trim_end_matches('.');
    format!(
        "| `{path}` | {} | {default} | {description} |\n",
        kind(field)
    )
}

/// The type, with what bounds it.
fn kind(field: &Value) -> String {
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        return values.join(" or ");
    }
    let kind = field["type"].as_str().unwrap_or("quantity");
    let bound = |name: &str| field[name].as_f64();
    let bounds = match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", {least} or more"),
        (None, Some(most)) => format!(", up to {most}"),
        (None, None) => match (bound("maxLength"), bound("maxItems")) {
            (Some(most), _) => format!(", up to {most} characters"),
            (None, Some(most)) => format!(", up to {most} items"),
            (None, None) => String::new(),
        },
    };
    format!("{kind}{bounds}")
}

fn messages(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array();
    let messages = rules.into_iter().flatten();
    messages
        .filter_map(|rule| rule["message"].as_str().map(str::to_owned))
        .collect()
}
