//! Pure: a raw request path → the call it is.
//!
//! The raw path is split on `/` first and each segment decoded once, so that `%2F` stays inside an
//! id; `+` is literal, as everywhere outside a query.

use hyper::Method;
use percent_encoding::percent_decode_str;

/// A call of the Track API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Identify(String),
    Delete(String),
    Track(String),
    Region,
    Auth,
    Batch,
    Entity,
    /// The path exists, with another method.
    WrongMethod,
    Unknown,
}

/// Recognises a call.
pub(super) fn call(method: &Method, raw_path: &str) -> Call {
    let segments: Vec<String> = raw_path
        .strip_prefix('/')
        .unwrap_or(raw_path)
        .split('/')
        .map(decode)
        .collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let id = |id: &str| id.to_owned();
    match (segments.as_slice(), method.as_str()) {
        (["api", "v1", "customers", person], "PUT") => Call::Identify(id(person)),
        (["api", "v1", "customers", person], "DELETE") => Call::Delete(id(person)),
        (["api", "v1", "customers", person, "events"], "POST") => Call::Track(id(person)),
        (["api", "v1", "accounts", "region"], "GET") => Call::Region,
        (["auth"], "GET") => Call::Auth,
        (["api", "v2", "batch"], "POST") => Call::Batch,
        (["api", "v2", "entity"], "POST") => Call::Entity,
        (
            ["api", "v1", "customers", _]
            | ["api", "v1", "customers", _, "events"]
            | ["api", "v1", "accounts", "region"]
            | ["auth"]
            | ["api", "v2", "batch" | "entity"],
            _,
        ) => Call::WrongMethod,
        _ => Call::Unknown,
    }
}

fn decode(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_before_it_is_decoded() {
        let person = |id: &str| Call::Identify(id.to_owned());
        let cases = [
            (Method::PUT, "/api/v1/customers/u1", person("u1")),
            (Method::PUT, "/api/v1/customers/a%2Fb", person("a/b")),
            (Method::PUT, "/api/v1/customers/a%252Fb", person("a%2Fb")),
            (Method::PUT, "/api/v1/customers/", person("")),
            (Method::PUT, "//api/v1/customers/u1", Call::Unknown),
            (
                Method::PUT,
                "/api/v1/customers/a+b@x.io",
                person("a+b@x.io"),
            ),
            (
                Method::PUT,
                "/api/v1/customers/a%20b%2F%C3%BC%2B%40x.io",
                person("a b/ü+@x.io"),
            ),
            (
                Method::DELETE,
                "/api/v1/customers/u1",
                Call::Delete("u1".to_owned()),
            ),
            (
                Method::POST,
                "/api/v1/customers/u1/events",
                Call::Track("u1".to_owned()),
            ),
            (Method::GET, "/api/v1/accounts/region", Call::Region),
            (Method::POST, "/api/v2/batch", Call::Batch),
            (Method::POST, "/api/v1/customers/u1", Call::WrongMethod),
            (Method::PUT, "/api/v1/customers/a/b", Call::Unknown),
            (Method::GET, "/nothing", Call::Unknown),
        ];
        for (method, path, expected) in cases {
            assert_eq!(call(&method, path), expected, "{method} {path}");
        }
    }
}
