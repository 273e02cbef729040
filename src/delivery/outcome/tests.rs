use bytes::Bytes;
use hyper::HeaderMap;
use proptest::prelude::*;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn verdict(items: usize, status: u16, body: &str) -> String {
    let verdict = decide(items, Ok(&answer(status, body)), now());
    match verdict {
        Verdict::Accepted { rejected } if rejected.is_empty() => "accepted".to_owned(),
        Verdict::Accepted { rejected } => {
            let each = rejected
                .iter()
                .map(|(index, reason)| format!("{index} {}", reason.message));
            format!("rejected {}", each.collect::<Vec<_>>().join(", "))
        }
        Verdict::Split => "split".to_owned(),
        Verdict::Reject(reason) => format!("reject {reason}"),
        Verdict::Hold(reason) => format!("hold {}", reason.class),
        Verdict::Retry {
            throttled, reason, ..
        } => format!("retry {} {throttled}", reason.class),
        Verdict::Fail(reason) => format!("fail {reason}"),
    }
}

#[test]
fn every_class_of_answer_has_its_verdict() {
    let named = r#"{"errors":[{"batch_index":1,"reason":"invalid","field":"attributes.city","message":"too long"}]}"#;
    let unnamed = r#"{"errors":[{"reason":"invalid"}]}"#;
    let meta = r#"{"meta":{"error":"name cannot be blank"}}"#;
    let metas = r#"{"meta":{"errors":["a","b"]}}"#;
    for (items, status, body, expected) in [
        (1, 200, "{}\n", "accepted"),
        (1, 204, "", "accepted"),
        // Somebody else answered: nothing was taken.
        (3, 200, "<html>", "retry unavailable false"),
        (1, 200, "[]", "retry unavailable false"),
        (3, 207, "{}", "split"),
        (
            1,
            207,
            "{}",
            "reject Customer.io answered 207: Multi-Status",
        ),
        (3, 207, named, "rejected 1 attributes.city: too long"),
        (3, 200, named, "rejected 1 attributes.city: too long"),
        (1, 207, unnamed, "rejected 0 invalid"),
        (3, 207, unnamed, "split"),
        (1, 207, named, "rejected 0 attributes.city: too long"),
        (3, 400, meta, "split"),
        (
            1,
            400,
            meta,
            "reject Customer.io answered 400: name cannot be blank",
        ),
        (1, 400, metas, "reject Customer.io answered 400: a; b"),
        (1, 400, unnamed, "reject Customer.io answered 400: invalid"),
        (1, 400, "", "reject Customer.io answered 400: Bad Request"),
        // A proxy's or a firewall's: no operation is at fault.
        (
            1,
            400,
            "<html>plain HTTP to an HTTPS port",
            "fail Customer.io answered 400: <html>plain HTTP to an HTTPS port",
        ),
        (3, 422, "[]", "fail Customer.io answered 422: []"),
        (3, 413, "", "split"),
        (3, 413, "<html>", "split"),
        (
            1,
            413,
            "",
            "reject Customer.io answered 413: Payload Too Large",
        ),
        (3, 401, "", "hold unauthorized"),
        (1, 403, "", "hold unauthorized"),
        (1, 307, "", "hold redirected"),
        (3, 408, "", "retry timeout false"),
        (3, 429, "", "retry throttled true"),
        (3, 500, "", "retry unavailable false"),
        (1, 503, "", "retry unavailable false"),
        (1, 599, "", "retry unavailable false"),
        (
            1,
            404,
            "no such page",
            "fail Customer.io answered 404: no such page",
        ),
        (
            3,
            405,
            "",
            "fail Customer.io answered 405: Method Not Allowed",
        ),
    ] {
        assert_eq!(
            verdict(items, status, body),
            expected,
            "{items} × {status} {body}"
        );
    }
}

#[test]
fn a_rejected_field_is_known_for_the_log() {
    let body = r#"{"errors":[{"field":"attributes.city","message":"too long"}]}"#;
    let Verdict::Reject(reason) = decide(1, Ok(&answer(400, body)), now()) else {
        panic!("not rejected");
    };
    assert_eq!(
        (reason.field.as_deref(), reason.status),
        (Some("attributes.city"), Some(400))
    );
}

#[test]
fn an_item_named_twice_is_rejected_once_with_the_first_message() {
    let body = r#"{"errors":[{"batch_index":0,"message":"a"},{"batch_index":0,"message":"b"}]}"#;
    assert_eq!(verdict(2, 207, body), "rejected 0 a");
}

#[test]
fn no_answer_is_tried_again() {
    for error in [
        TransportError::Timeout(Duration::from_secs(10)),
        TransportError::Connect("refused".to_owned()),
        TransportError::Broken("reset".to_owned()),
        TransportError::Body("cut off".to_owned()),
    ] {
        let verdict = decide(2, Err(&error), now());
        assert!(
            matches!(
                verdict,
                Verdict::Retry {
                    throttled: false,
                    ..
                }
            ),
            "{verdict:?}"
        );
    }
}

#[test]
fn retry_after_is_read_in_both_forms() {
    for (text, expected) in [
        ("7", Some(7)),
        ("Tue, 24 Nov 2026 10:00:30 GMT", Some(30)),
        ("Tue, 24 Nov 2026 09:00:00 GMT", Some(0)),
        ("soon", None),
        ("-3", None),
    ] {
        let mut answer = answer(429, "");
        answer.headers.insert("retry-after", text.parse().unwrap());
        let Verdict::Retry { after, .. } = decide(1, Ok(&answer), now()) else {
            panic!("not tried again");
        };
        assert_eq!(after, expected.map(Duration::from_secs), "{text}");
    }
}

proptest! {
    #[test]
    fn any_answer_has_a_verdict_and_names_only_items_that_are_there(
        items in 1_usize..5, status in 100_u16..1000, body in ".{0,60}",
        index in any::<i64>(), field in ".{0,9}",
    ) {
        let errors = format!(r#"{{"errors":[{{"batch_index":{index},"field":{field:?}}}, 3]}}"#);
        for body in [body, errors] {
            let verdict = decide(items, Ok(&answer(status, &body)), now());
            if let Verdict::Accepted { rejected } = verdict {
                prop_assert!(rejected.iter().all(|(index, _)| *index < items));
            }
        }
    }
}
