use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::delivery::operation::Operation;

const JOB: JobRef<'static> = JobRef {
    queue: "bull:cio-events",
    id: "7",
};
const MS: u64 = 1_700_000_000_123;

fn prepared(name: &str, data: &Value, mode: Mode) -> Result<Prepared, Refusal> {
    prepare(&Operation::read(name, data, MS)?, mode, JOB)
}

fn call(name: &str, user: &str, body: &Value) -> (String, Value) {
    let data = json!({"userId": user, "data": body});
    match prepared(name, &data, Mode::Single).unwrap().encoded {
        Encoded::Call(call) => (
            format!("{} {}", call.method, call.path),
            serde_json::from_slice(&call.body).unwrap(),
        ),
        Encoded::Item(_) => panic!("an item"),
    }
}

fn item(name: &str, user: &str, body: &Value) -> Value {
    let data = json!({"userId": user, "data": body});
    match prepared(name, &data, Mode::Batch).unwrap().encoded {
        Encoded::Item(item) => serde_json::from_slice(&item).unwrap(),
        Encoded::Call(call) => panic!("{call:?}"),
    }
}

#[test]
fn identify_is_a_put_with_the_time_it_was_enqueued() {
    let (line, body) = call(
        "identify",
        "u1",
        &json!({"plan": "pro", "created_at": 1_600_000_000_000_u64}),
    );
    assert_eq!(line, "PUT /api/v1/customers/u1");
    assert_eq!(
        body,
        json!({"plan": "pro", "created_at": 1_600_000_000, "_timestamp": 1_700_000_000})
    );
}

#[test]
fn an_event_has_an_id_and_the_time_it_was_enqueued() {
    let id = event_id(JOB.queue, JOB.id, MS);
    let (line, body) = call(
        "track",
        "u1",
        &json!({"name": "bought", "data": {"n": 1}, "extra": true}),
    );
    assert_eq!(line, "POST /api/v1/customers/u1/events");
    assert_eq!(
        body,
        json!({"name": "bought", "data": {"n": 1}, "extra": true, "id": id, "timestamp": 1_700_000_000})
    );
    let body = item("track", "u1", &json!({"name": "bought", "data": {"n": 1}}));
    assert_eq!(
        body,
        json!({"type": "person", "identifiers": {"id": "u1"}, "action": "event", "name": "bought",
               "attributes": {"n": 1}, "id": id, "timestamp": 1_700_000_000})
    );
}

#[test]
fn the_producers_own_id_and_times_are_kept() {
    let event = json!({"name": "n", "id": "mine", "timestamp": 1_500_000_000, "type": "page"});
    let (_, body) = call("track", "u1", &event);
    assert_eq!(
        (&body["id"], &body["timestamp"]),
        (&json!("mine"), &json!(1_500_000_000))
    );
    let body = item("track", "u1", &event);
    assert_eq!(
        (&body["id"], &body["timestamp"]),
        (&json!("mine"), &json!(1_500_000_000))
    );
    assert_eq!(body["action"], "page");
    let (_, body) = call(
        "identify",
        "u1",
        &json!({"_timestamp": 1_500_000_000_000_u64}),
    );
    assert_eq!(body["_timestamp"], 1_500_000_000);
}

#[test]
fn in_a_batch_time_and_relationships_stand_beside_the_attributes() {
    let body = item(
        "identify",
        "u1",
        &json!({"a": 1, "_timestamp": 5, "_update": true, "cio_relationships": adding()}),
    );
    assert_eq!(
        body,
        json!({"type": "person", "identifiers": {"id": "u1"}, "action": "identify", "timestamp": 5,
               "attributes": {"a": 1, "_update": true},
               "cio_relationships": adding()["relationships"]})
    );
}

fn adding() -> Value {
    let company = json!({"object_type_id": "1", "object_id": "acme"});
    json!({"action": "add_relationships", "relationships": [{"identifiers": company}]})
}

#[test]
fn relationships_that_only_v1_can_say_make_a_request_of_their_own() {
    let taking = json!({"action": "delete_relationships", "relationships": []});
    for related in [
        taking,
        json!({"action": "add_relationships"}),
        json!("acme"),
    ] {
        let data = json!({"a": 1, "cio_relationships": related});
        let job = json!({"userId": "u1", "data": data});
        let encoded = prepared("identify", &job, Mode::Batch).unwrap().encoded;
        let (_, of_v1) = call("identify", "u1", &data);
        let Encoded::Call(sent) = encoded else {
            panic!("{encoded:?}");
        };
        assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), of_v1);
        assert_eq!(of_v1["cio_relationships"], data["cio_relationships"]);
    }
    let list = json!({"cio_relationships": adding()["relationships"]});
    let (_, of_v1) = call("identify", "u1", &list);
    assert_eq!(of_v1["cio_relationships"], adding());
    let nothing = json!({"cio_relationships": null});
    let (_, of_v1) = call("identify", "u1", &nothing);
    for sent in [of_v1, item("identify", "u1", &nothing)] {
        assert_eq!(sent.get("cio_relationships"), None);
    }
    assert_eq!(
        item("identify", "u1", &list)["cio_relationships"],
        list["cio_relationships"]
    );
}

#[test]
fn one_address_in_two_cases_is_one_user_and_one_id_is_two() {
    let user = |id: &str| {
        let job = json!({"userId": id, "data": {}});
        prepared("identify", &job, Mode::Batch).unwrap().user
    };
    assert_eq!(user("Bo@X.io"), user("bo@x.io"));
    assert_ne!(user("Bo"), user("bo"));
}

#[test]
fn numbers_are_passed_on_as_they_are() {
    // The nearest numbers to these texts are hard to find: a quick parser is one off.
    let text = r#"{"userId":"u","data":{"n":2.638344616030823e-256,"m":31.245270191439438}}"#;
    let data: Value = serde_json::from_str(text).unwrap();
    let encoded = prepared("identify", &data, Mode::Single).unwrap().encoded;
    let Encoded::Call(call) = encoded else {
        panic!("{encoded:?}");
    };
    let sent = String::from_utf8(call.body.to_vec()).unwrap();
    for number in ["2.638344616030823e-256", "31.245270191439438"] {
        assert!(sent.contains(number), "{number} in {sent}");
    }
}

#[test]
fn a_path_is_the_one_that_javascript_makes() {
    // encodeURIComponent of the same texts, in Node 20.
    for (user, path) in [
        ("a b/ü+@x.io", "a%20b%2F%C3%BC%2B%40x.io"),
        ("-_.!~*'()", "-_.!~*'()"),
        ("50%?#&=", "50%25%3F%23%26%3D"),
        ("cio_0400", "cio_0400"),
    ] {
        let (line, _) = call("identify", user, &json!({}));
        assert_eq!(line, format!("PUT /api/v1/customers/{path}"));
    }
}

#[test]
fn the_kind_of_id_is_judged_from_its_shape() {
    for (user, identifiers) in [
        ("17", json!({"id": "17"})),
        ("u@example.com", json!({"email": "u@example.com"})),
        ("cio_0400", json!({"cio_id": "0400"})),
        ("cio_", json!({"id": "cio_"})),
        ("@handle", json!({"id": "@handle"})),
        ("a@b@c.d", json!({"id": "a@b@c.d"})),
        ("at @ x.y", json!({"id": "at @ x.y"})),
    ] {
        assert_eq!(
            item("identify", user, &json!({}))["identifiers"],
            identifiers,
            "{user}"
        );
    }
}

#[test]
fn limits_hold_to_the_byte() {
    type Case<'a> = (&'a str, &'a dyn Fn(usize) -> Value, usize);
    let long = |bytes: usize| "ü".repeat(bytes / 2) + &"x".repeat(bytes % 2);
    let attributes = |count: usize| -> Value {
        (0..count)
            .map(|n| (n.to_string(), json!(n)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let data = |bytes: usize| json!({"name": "n", "data": {"d": "x".repeat(bytes - 8)}});
    let cases: [Case<'_>; 6] = [
        ("identify", &|n| json!({"userId": long(n)}), 150),
        (
            "identify",
            &|n| json!({"userId": "u", "data": attributes(n)}),
            300,
        ),
        (
            "identify",
            &|n| json!({"userId": "u", "data": {long(n): 1}}),
            150,
        ),
        (
            "identify",
            &|n| json!({"userId": "u", "data": {"a": long(n)}}),
            1_000,
        ),
        (
            "track",
            &|n| json!({"userId": "u", "data": {"name": long(n)}}),
            100,
        ),
        (
            "track",
            &|n| json!({"userId": "u", "data": data(n)}),
            100_000,
        ),
    ];
    for (name, data, limit) in cases {
        assert!(
            prepared(name, &data(limit), Mode::Single).is_ok(),
            "{name} {limit}"
        );
        assert!(
            prepared(name, &data(limit + 1), Mode::Single).is_err(),
            "{name} {limit}"
        );
    }
}

#[test]
fn an_operation_too_large_for_a_batch_goes_alone() {
    let event = |bytes: usize| json!({"userId": "u", "data": {"name": "n", "data": {"d": "x".repeat(bytes)}}});
    let small = prepared("track", &event(32_000), Mode::Batch).unwrap();
    assert!(matches!(small.encoded, Encoded::Item(item) if item.len() <= 32 * 1024));
    let large = prepared("track", &event(33_000), Mode::Batch).unwrap();
    assert!(matches!(large.encoded, Encoded::Call(_)));
}

#[test]
fn dots_alone_are_no_path() {
    let data = json!({"userId": ".."});
    assert_eq!(
        prepared("identify", &data, Mode::Single),
        Err(Refusal::UserIdNotInPath)
    );
    assert!(prepared("identify", &data, Mode::Batch).is_ok());
}

#[test]
fn a_batch_is_its_items_and_the_overhead_it_is_reckoned_with() {
    let items = [
        Bytes::from("{\"a\":1}"),
        Bytes::from("{\"b\":2}"),
        Bytes::from("{}"),
    ];
    let call = batch_call(items.iter());
    assert_eq!(call.body, r#"{"batch":[{"a":1},{"b":2},{}]}"#);
    let reckoned: usize = items.iter().map(|item| item.len() + ITEM_OVERHEAD).sum();
    assert!(call.body.len() <= BATCH_OVERHEAD + reckoned);
}

proptest! {
    #[test]
    fn any_id_stays_one_segment_of_the_path(user in ".{1,40}") {
        let data = json!({"userId": user});
        if let Ok(Prepared { encoded: Encoded::Call(call), .. }) = prepared("identify", &data, Mode::Single) {
            let segment = call.path.strip_prefix("/api/v1/customers/").unwrap();
            prop_assert!(!segment.contains(['/', '?', '#', ' ']));
            let back = percent_encoding::percent_decode_str(segment).decode_utf8().unwrap();
            prop_assert_eq!(back, user);
            prop_assert!(call.path.parse::<hyper::Uri>().is_ok());
        }
    }
}
