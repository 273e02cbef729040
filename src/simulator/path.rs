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
    TrackAnonymous,
    AddDevice(String),
    /// A person and the token of the device.
    DeleteDevice(String, String),
    Suppress(String),
    Unsuppress(String),
    Merge,
    JoinSegment(u32),
    LeaveSegment(u32),
    Form,
    /// A push event or a metric.
    Report,
    Unsubscribe,
    Region,
    Auth,
    Batch,
    Entity,
    /// The path exists, with another method.
    WrongMethod,
    Unknown,
}

impl Call {
    /// Some are made by devices and by links in messages, which know no key.
    pub(super) fn needs_credentials(&self) -> bool {
        !matches!(self, Self::Report | Self::Unsubscribe)
    }
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
    match segments.as_slice() {
        ["api", "v1", "customers", person, rest @ ..] => of_person(person, rest, method),
        ["api", "v1", "segments", id, change] => of_segment(id, change, method),
        path => fixed(path).map_or(Call::Unknown, |(wanted, call)| when(method, wanted, call)),
    }
}

fn of_person(person: &str, rest: &[&str], method: &Method) -> Call {
    let person = person.to_owned();
    let post = |call| when(method, &Method::POST, call);
    match (rest, method.as_str()) {
        ([], "PUT") => Call::Identify(person),
        ([], _) => when(method, &Method::DELETE, Call::Delete(person)),
        (["events"], _) => post(Call::Track(person)),
        (["suppress"], _) => post(Call::Suppress(person)),
        (["unsuppress"], _) => post(Call::Unsuppress(person)),
        (["devices"], _) => when(method, &Method::PUT, Call::AddDevice(person)),
        (["devices", token], _) => {
            let call = Call::DeleteDevice(person, (*token).to_owned());
            when(method, &Method::DELETE, call)
        }
        _ => Call::Unknown,
    }
}

fn of_segment(id: &str, change: &str, method: &Method) -> Call {
    match (id.parse(), change) {
        (Ok(id), "add_customers") => when(method, &Method::POST, Call::JoinSegment(id)),
        (Ok(id), "remove_customers") => when(method, &Method::POST, Call::LeaveSegment(id)),
        _ => Call::Unknown,
    }
}

fn fixed(path: &[&str]) -> Option<(&'static Method, Call)> {
    Some(match path {
        ["api", "v1", "events"] => (&Method::POST, Call::TrackAnonymous),
        ["api", "v1", "merge_customers"] => (&Method::POST, Call::Merge),
        ["api", "v1", "forms", _, "submit"] => (&Method::POST, Call::Form),
        // The Ruby client reports pushes without the version before.
        ["api", "v1", "metrics"] | ["api", "v1", "push", "events"] | ["push", "events"] => {
            (&Method::POST, Call::Report)
        }
        ["unsubscribe", _] => (&Method::POST, Call::Unsubscribe),
        ["api", "v1", "accounts", "region"] => (&Method::GET, Call::Region),
        ["auth"] => (&Method::GET, Call::Auth),
        ["api", "v2", "batch"] => (&Method::POST, Call::Batch),
        ["api", "v2", "entity"] => (&Method::POST, Call::Entity),
        _ => return None,
    })
}

fn when(method: &Method, wanted: &Method, call: Call) -> Call {
    if method == wanted {
        call
    } else {
        Call::WrongMethod
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
            (
                Method::DELETE,
                "/api/v1/customers/a%2Fb/devices/t%2Fu",
                Call::DeleteDevice("a/b".to_owned(), "t/u".to_owned()),
            ),
            (
                Method::POST,
                "/api/v1/segments/7/add_customers",
                Call::JoinSegment(7),
            ),
            (
                Method::POST,
                "/api/v1/segments/7/remove_customers",
                Call::LeaveSegment(7),
            ),
            (
                Method::POST,
                "/api/v1/segments/x/add_customers",
                Call::Unknown,
            ),
            (Method::POST, "/api/v1/push/events", Call::Report),
            (Method::POST, "/push/events", Call::Report),
            (Method::GET, "/api/v1/metrics", Call::WrongMethod),
            (Method::POST, "/unsubscribe/d1", Call::Unsubscribe),
            (Method::PUT, "/api/v1/customers/a/b", Call::Unknown),
            (Method::GET, "/nothing", Call::Unknown),
        ];
        for (method, path, expected) in cases {
            assert_eq!(call(&method, path), expected, "{method} {path}");
        }
    }
}
