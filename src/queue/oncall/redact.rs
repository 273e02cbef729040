//! A job's data without the people in it: the structure stays, the values go.

use serde_json::{Map, Value};

/// Elements of an array that are shown; the structure of the others is the same, as a rule.
const ELEMENTS: usize = 3;

/// The value with each text, number and truth value replaced by the name of its type. An object's
/// keys stay, unless they look like an e-mail address: some applications key by person.
pub fn redacted(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::from("<boolean>"),
        Value::Number(_) => Value::from("<number>"),
        Value::String(_) => Value::from("<string>"),
        Value::Array(elements) => array(elements),
        Value::Object(fields) => Value::Object(object(fields)),
    }
}

fn array(elements: &[Value]) -> Value {
    let mut shown: Vec<Value> = elements.iter().take(ELEMENTS).map(redacted).collect();
    if elements.len() > ELEMENTS {
        shown.push(Value::from(format!("<{} more>", elements.len() - ELEMENTS)));
    }
    Value::Array(shown)
}

fn object(fields: &Map<String, Value>) -> Map<String, Value> {
    let shown = fields.iter().map(|(key, value)| {
        let key = if key.contains('@') { "<key>" } else { key };
        (key.to_owned(), redacted(value))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_structure_stays_and_the_values_go() {
        let data = json!({
            "userId": "u1", "ok": true, "n": 1.5, "none": null,
            "list": [1, "a", {"b": 2}, 4, 5], "a@example.com": {"x": 1},
        });
        let expected = json!({
            "userId": "<string>", "ok": "<boolean>", "n": "<number>", "none": null,
            "list": ["<number>", "<string>", {"b": "<number>"}, "<2 more>"],
            "<key>": {"x": "<number>"},
        });
        assert_eq!(redacted(&data), expected);
    }
}
