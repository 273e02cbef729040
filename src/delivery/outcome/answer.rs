//! Reading an answer's headers and body, whose forms differ by version and are partly undocumented.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;

use crate::runtime::http_client::Answer;

/// Bytes of a field's name that are kept.
const MAX_FIELD: usize = 200;
/// Characters kept of a body that is no JSON: a proxy's HTML page says enough in its first line.
const MAX_PLAIN: usize = 200;

/// One entry of `errors[]`. Any part may be missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ItemError {
    pub(super) index: Option<usize>,
    pub(super) field: Option<String>,
    pub(super) message: String,
}

/// Whether a body is one that Customer.io sends, with a success or a refusal: an object, or nothing.
/// Anything else is a proxy's or a maintenance page's, and nobody took or refused what was sent.
pub(super) fn is_an_answer(body: &[u8]) -> bool {
    body.trim_ascii().is_empty()
        || serde_json::from_slice::<Value>(body).is_ok_and(|body| body.is_object())
}

/// The entries of a v2 body's `errors[]`; none for any other body.
pub(super) fn item_errors(body: &[u8]) -> impl Iterator<Item = ItemError> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = match body {
        Value::Object(mut body) => body.remove("errors"),
        _ => None,
    };
    let errors = match errors {
        Some(Value::Array(errors)) => errors,
        _ => Vec::new(),
    };
    errors.into_iter().map(|error| item_error(&error))
}

fn item_error(error: &Value) -> ItemError {
    let text = |key| {
        error
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let said = text("message").or(text("reason")).or(error.as_str());
    let said = said.unwrap_or("refused without a reason");
    let field = text("field").filter(|field| field.len() <= MAX_FIELD);
    ItemError {
        index: error
            .get("batch_index")
            .and_then(Value::as_u64)
            .and_then(|n| n.try_into().ok()),
        message: match field {
            Some(field) => format!("{field}: {said}"),
            None => said.to_owned(),
        },
        field: field.map(str::to_owned),
    }
}

/// What the body says: v1's `meta.error` and `meta.errors`, v2's `errors[]`, else its text.
pub(super) fn message(answer: &Answer) -> String {
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(error) = json.pointer("/meta/error").and_then(Value::as_str) {
        return error.to_owned();
    }
    let meta = json.pointer("/meta/errors").and_then(Value::as_array);
    let meta = meta
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned);
    let all: Vec<String> = meta
        .chain(item_errors(&answer.body).map(|error| error.message))
        .collect();
    if !all.is_empty() {
        return all.join("; ");
    }
    plain(answer)
}

fn plain(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.trim().chars().take(MAX_PLAIN).collect();
    if text.is_empty() || text == "{}" {
        answer
            .status
            .canonical_reason()
            .unwrap_or("no reason given")
            .to_owned()
    } else {
        text
    }
}

/// `Retry-After` in either form: seconds or an HTTP date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}
