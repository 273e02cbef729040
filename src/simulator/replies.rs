//! Pure: the bytes of the real API's answers.
//!
//! The success bytes and headers are those that Customer.io's own SDK team recorded from the live
//! API (customerio-node, test/fixtures/responses). 401 and 429 bodies are not documented.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::validation::Invalid;

/// An answer before it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: String,
    pub(super) retry_after_seconds: Option<u64>,
    /// Where a redirect leads to.
    pub(super) location: Option<String>,
}

impl Reply {
    fn new(status: StatusCode, body: &Value) -> Self {
        Self {
            status,
            body: format!("{body}\n"),
            retry_after_seconds: None,
            location: None,
        }
    }

    /// Accepted.
    pub(super) fn ok() -> Self {
        Self::new(StatusCode::OK, &json!({}))
    }

    /// Accepted, in the one call that says so without a body.
    pub(super) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: String::new(),
            retry_after_seconds: None,
            location: None,
        }
    }

    pub(super) fn json(body: &Value) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// v1: refused.
    pub(super) fn invalid(invalid: &Invalid) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            &json!({"meta": {"error": invalid.message}}),
        )
    }

    /// v2: refused as a whole.
    pub(super) fn invalid_v2(invalid: &Invalid) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            &json!({"errors": [error(invalid)]}),
        )
    }

    /// v2: these items of the batch are refused, all others are accepted.
    pub(super) fn partly(refused: &[(usize, Invalid)]) -> Self {
        if refused.is_empty() {
            return Self::ok();
        }
        let errors: Vec<Value> = refused
            .iter()
            .map(|(index, invalid)| {
                let mut error = error(invalid);
                error["batch_index"] = json!(index);
                error
            })
            .collect();
        Self::new(StatusCode::MULTI_STATUS, &json!({ "errors": errors }))
    }

    /// Anything else that is an error.
    pub(super) fn error(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("error");
        Self::new(status, &json!({"meta": {"error": reason}}))
    }

    /// The answer, with the real API's headers.
    pub(super) fn into_response(self) -> Response<Body> {
        let fixed = [
            (header::CONTENT_TYPE, "application/json; charset=utf-8"),
            (
                header::CACHE_CONTROL,
                "no-cache, no-store, must-revalidate, max-age=0",
            ),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::VIA, "1.1 google"),
            (
                header::STRICT_TRANSPORT_SECURITY,
                "max-age=31536000; includeSubDomains",
            ),
            (
                header::ALT_SVC,
                "h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000",
            ),
        ];
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.status == StatusCode::OK {
            headers.insert("status", HeaderValue::from_static("200 OK"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let location = self.location.and_then(|it| HeaderValue::try_from(it).ok());
        if let Some(location) = location {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

/// No answer: the server closes the connection when the body fails, before it has sent the head.
pub(super) fn broken_off() -> Response<Body> {
    let error = io::Error::from(io::ErrorKind::ConnectionReset);
    let body = futures::stream::iter([Err::<Bytes, io::Error>(error)]);
    Response::new(Body::from_stream(body))
}

fn error(invalid: &Invalid) -> Value {
    json!({"reason": invalid.reason, "field": invalid.field, "message": invalid.message})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_is_wrong_in_the_form_of_its_api() {
        let invalid = Invalid::new("invalid", "name", "too long");
        let error = r#""field":"name","message":"too long","reason":"invalid""#;
        let cases = [
            (Reply::ok(), 200, "{}".to_owned()),
            (Reply::partly(&[]), 200, "{}".to_owned()),
            (
                Reply::invalid(&invalid),
                400,
                r#"{"meta":{"error":"too long"}}"#.to_owned(),
            ),
            (
                Reply::invalid_v2(&invalid),
                400,
                format!(r#"{{"errors":[{{{error}}}]}}"#),
            ),
            (
                Reply::partly(&[(3, invalid)]),
                207,
                format!(r#"{{"errors":[{{"batch_index":3,{error}}}]}}"#),
            ),
            (
                Reply::error(StatusCode::UNAUTHORIZED),
                401,
                r#"{"meta":{"error":"Unauthorized"}}"#.to_owned(),
            ),
        ];
        for (reply, status, body) in cases {
            assert_eq!(reply.status.as_u16(), status);
            assert_eq!(reply.body, body + "\n");
        }
    }
}
