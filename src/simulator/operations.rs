//! A call and its body → what is stored, and the reply. v1 calls and v2 items both end here.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::path::Call;
use super::replies::Reply;
use super::store::{Event, Store};
use super::validation::{self, Invalid};

/// The documented limits of v2: a batch, and an item of it.
const BATCH_BYTES: usize = 500_000;
const ITEM_BYTES: usize = 32 * 1024;

/// Does what a call asks for, at `now` in unix seconds.
pub(super) fn perform(
    store: &mut Store,
    call: &Call,
    body: &[u8],
    region: &str,
    now: i64,
) -> Reply {
    let reply = match call {
        Call::Identify(id) => v1(identify(store, id, parse(body), now)),
        Call::Track(id) => v1(track(store, id, parse(body))),
        Call::Delete(id) => v1(delete(store, id)),
        Call::Batch => batch(store, body, now),
        Call::Entity => match item(store, parse(body), now) {
            Ok(()) => Reply::ok(),
            Err(invalid) => Reply::invalid_v2(&invalid),
        },
        Call::Region => Reply::json(&json!({
            "url": "https://track.customer.io", "region": region, "environment_id": 1
        })),
        Call::Auth => Reply::json(&json!({"meta": {"message": "nice credentials."}})),
        Call::WrongMethod => Reply::error(StatusCode::METHOD_NOT_ALLOWED),
        Call::Unknown => Reply::error(StatusCode::NOT_FOUND),
    };
    if reply.status == StatusCode::BAD_REQUEST {
        store.refuse();
    }
    reply
}

fn v1(outcome: Result<(), Invalid>) -> Reply {
    outcome.map_or_else(|invalid| Reply::invalid(&invalid), |()| Reply::ok())
}

/// A body that must be a JSON object; an empty one is an empty object, as SDKs send it.
fn parse(body: &[u8]) -> Result<Map<String, Value>, Invalid> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(refusal(
            "invalid",
            "body",
            "request body must be a JSON object",
        )),
    }
}

fn refusal(reason: &'static str, field: &str, message: &str) -> Invalid {
    Invalid {
        reason,
        field: field.to_owned(),
        message: message.to_owned(),
    }
}

fn identify(
    store: &mut Store,
    id: &str,
    body: Result<Map<String, Value>, Invalid>,
    now: i64,
) -> Result<(), Invalid> {
    let attributes = body?;
    validation::person_id(id)?;
    validation::attributes(&attributes)?;
    let at = attributes
        .get("_timestamp")
        .and_then(Value::as_i64)
        .unwrap_or(now);
    store.identify(id, &attributes, at);
    Ok(())
}

fn track(
    store: &mut Store,
    id: &str,
    body: Result<Map<String, Value>, Invalid>,
) -> Result<(), Invalid> {
    let body = body?;
    validation::person_id(id)?;
    validation::event(body.get("name"), body.get("data"))?;
    store.track(event(id, &body));
    Ok(())
}

fn delete(store: &mut Store, id: &str) -> Result<(), Invalid> {
    validation::person_id(id)?;
    store.delete(id);
    Ok(())
}

fn event(person: &str, body: &Map<String, Value>) -> Event {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    Event {
        id: text("id").map(str::to_owned),
        person: person.to_owned(),
        name: text("name").unwrap_or_default().trim().to_owned(),
        timestamp: body.get("timestamp").and_then(Value::as_i64),
    }
}

fn batch(store: &mut Store, body: &[u8], now: i64) -> Reply {
    if body.len() >= BATCH_BYTES {
        let message = "batch must be smaller than 500kb";
        return Reply::invalid_v2(&refusal("invalid", "batch", message));
    }
    let items = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut fields)) => fields.remove("batch"),
        _ => None,
    };
    let Some(Value::Array(items)) = items else {
        return Reply::invalid_v2(&refusal("required", "batch", "batch must be an array"));
    };
    let mut refused = Vec::new();
    for (index, given) in items.into_iter().enumerate() {
        if let Err(invalid) = batch_item(store, given, now) {
            store.refuse();
            refused.push((index, invalid));
        }
    }
    Reply::partly(&refused)
}

fn batch_item(store: &mut Store, given: Value, now: i64) -> Result<(), Invalid> {
    if given.to_string().len() > ITEM_BYTES {
        return Err(refusal("invalid", "item", "item must be smaller than 32kb"));
    }
    match given {
        Value::Object(fields) => item(store, Ok(fields), now),
        _ => Err(refusal("invalid", "item", "item must be a JSON object")),
    }
}

/// One v2 operation.
fn item(
    store: &mut Store,
    fields: Result<Map<String, Value>, Invalid>,
    now: i64,
) -> Result<(), Invalid> {
    let fields = fields?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("type") != "person" {
        return Err(refusal("invalid", "type", "type must be person here"));
    }
    let id = identifier(fields.get("identifiers"))?;
    validation::person_id(&id)?;
    match text("action") {
        "identify" => {
            let attributes = match fields.get("attributes") {
                Some(Value::Object(attributes)) => attributes.clone(),
                None => Map::new(),
                Some(_) => return Err(refusal("invalid", "attributes", "must be an object")),
            };
            validation::attributes(&attributes)?;
            let at = fields
                .get("timestamp")
                .and_then(Value::as_i64)
                .unwrap_or(now);
            store.identify(&id, &attributes, at);
        }
        "event" | "page" | "screen" => {
            validation::event(fields.get("name"), fields.get("attributes"))?;
            store.track(event(&id, &fields));
        }
        "delete" => store.delete(&id),
        "" => return Err(refusal("required", "action", "action is required")),
        _ => return Err(refusal("invalid", "action", "action is not supported here")),
    }
    Ok(())
}

/// Exactly one of id, email and `cio_id`; the store knows a person by it.
fn identifier(identifiers: Option<&Value>) -> Result<String, Invalid> {
    let given = identifiers
        .and_then(Value::as_object)
        .filter(|given| given.len() == 1);
    let found = given.and_then(|given| {
        ["id", "email", "cio_id"]
            .iter()
            .find_map(|kind| given.get(*kind)?.as_str())
    });
    found.map(str::to_owned).ok_or_else(|| {
        refusal(
            "required",
            "identifiers",
            "exactly one of id, email, cio_id is required",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perform_on(store: &mut Store, call: &Call, body: &Value) -> Reply {
        perform(store, call, body.to_string().as_bytes(), "us", 1_000)
    }

    #[test]
    fn a_batch_takes_what_is_valid_and_names_what_is_not() {
        let mut store = Store::new(10);
        let person = json!({"id": "u"});
        let batch = json!({"batch": [
            {"type": "person", "identifiers": person, "action": "identify", "attributes": {"a": 1}},
            {"type": "person", "identifiers": person, "action": "event", "name": ""},
            {"type": "person", "identifiers": person, "action": "event", "name": "bought"},
            {"type": "person", "identifiers": {"id": "u", "email": "e"}, "action": "delete"},
            {"type": "person", "identifiers": person, "action": "dance"},
            {"type": "person", "identifiers": person, "action": "event", "name": "n",
             "attributes": {"x": "x".repeat(33_000)}},
        ]});
        let reply = perform_on(&mut store, &Call::Batch, &batch);
        assert_eq!(reply.status, StatusCode::MULTI_STATUS);
        let body: Value = serde_json::from_str(&reply.body).expect("JSON");
        let errors = body["errors"].as_array().expect("errors");
        let named: Vec<(&Value, &Value)> = errors
            .iter()
            .map(|error| (&error["batch_index"], &error["field"]))
            .collect();
        let index = [1, 3, 4, 5].map(|index| json!(index));
        let field = ["name", "identifiers", "action", "item"].map(|field| json!(field));
        let expected: Vec<(&Value, &Value)> = index.iter().zip(&field).collect();
        assert_eq!(named, expected);
        assert_eq!(store.state()["events"], 1);
        assert_eq!(store.state()["invalid"], 4);
        assert_eq!(store.person("u"), Some(json!({"a": 1})));
    }

    #[test]
    fn a_batch_that_is_none_or_too_large_is_refused_whole() {
        let mut store = Store::new(10);
        let large = json!({"batch": ["x".repeat(500_000)]});
        for body in [json!([]), json!({}), json!({"batch": 1}), large] {
            let reply = perform_on(&mut store, &Call::Batch, &body);
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(store.state()["events"], 0);
    }

    #[test]
    fn v1_answers_in_its_own_form() {
        let mut store = Store::new(10);
        let track = Call::Track("u".to_owned());
        let reply = perform_on(&mut store, &track, &json!({"name": " "}));
        assert_eq!(
            reply.body,
            "{\"meta\":{\"error\":\"event name must not be blank\"}}\n"
        );
        let reply = perform_on(&mut store, &track, &json!({"name": "n"}));
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (StatusCode::OK, "{}\n")
        );
    }
}
