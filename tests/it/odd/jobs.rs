//! Odd jobs: a hash of any bytes, and where its id stands.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::select;
use redis::Pipeline;

/// Where an id stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Wait,
    Prioritized,
    /// Due since long ago.
    Delayed,
}

/// A job's hash; no field at all is no hash.
#[derive(Clone)]
pub(super) struct Odd {
    fields: Vec<(&'static str, Vec<u8>)>,
    place: Place,
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.place)?;
        for (name, value) in &self.fields {
            let text = String::from_utf8_lossy(value);
            let short: String = text.chars().take(60).collect();
            write!(f, " {name}={short:?}({})", value.len())?;
        }
        Ok(())
    }
}

impl Odd {
    /// As a producer writes it.
    pub(super) fn plain(name: &str, data: &[u8]) -> Self {
        let fields = vec![
            ("name", name.into()),
            ("data", data.to_vec()),
            (
                "opts",
                br#"{"attempts":5,"backoff":{"type":"exponential","delay":2000}}"#.to_vec(),
            ),
            ("timestamp", b"1700000000000".to_vec()),
            ("delay", b"0".to_vec()),
            ("priority", b"0".to_vec()),
        ];
        Self {
            fields,
            place: Place::Wait,
        }
    }

    fn with(mut self, field: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.fields.retain(|(name, _)| *name != field);
        self.fields.push((field, value.into()));
        self
    }

    fn without(mut self, field: &str) -> Self {
        self.fields.retain(|(name, _)| *name != field);
        self
    }

    fn field(&self, field: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(name, _)| *name == field);
        found.map(|(_, value)| value.as_slice())
    }

    pub(super) fn write(&self, pipeline: &mut Pipeline, prefix: &str, id: &str) {
        if !self.fields.is_empty() {
            let hash = pipeline.cmd("HSET").arg(format!("{prefix}{id}"));
            for (name, value) in &self.fields {
                hash.arg(name).arg(value);
            }
            hash.ignore();
        }
        match self.place {
            Place::Wait => pipeline.cmd("LPUSH").arg(format!("{prefix}wait")),
            Place::Prioritized => pipeline
                .cmd("ZADD")
                .arg(format!("{prefix}prioritized"))
                .arg(1_u64 << 32),
            Place::Delayed => pipeline
                .cmd("ZADD")
                .arg(format!("{prefix}delayed"))
                .arg(4096),
        }
        .arg(id)
        .ignore();
    }

    /// Whether its name and data are those of a job, whatever else is wrong with it.
    pub(super) fn may_be_delivered(&self) -> bool {
        let known = matches!(self.field("name"), Some(b"track" | b"identify"));
        let data = self
            .field("data")
            .and_then(|it| serde_json::from_slice::<serde_json::Value>(it).ok());
        known && data.is_some_and(|it| it.get("userId").is_some_and(|it| !it.is_null()))
    }

    /// Whether nothing of it has to remain: it never was more than an id, or it asks for that itself.
    pub(super) fn may_be_gone(&self) -> bool {
        let asks = |option: &[u8]| {
            self.field("opts")
                .is_some_and(|opts| opts.windows(option.len()).any(|it| it == option))
        };
        self.fields.is_empty()
            || asks(br#""removeOnFail":true"#)
            || asks(br#""removeOnFail":0"#)
            || asks(br#""removeOnComplete":true"#)
    }
}

const GOOD_DATA: &str = r#"{"userId":"u","data":{"name":"odd"},"enqueuedAt":1700000000000}"#;

fn good() -> Odd {
    Odd::plain("track", GOOD_DATA.as_bytes())
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Data that is no job's.
fn bad_data() -> Vec<Vec<u8>> {
    let deep = format!(
        r#"{{"userId":"u","data":{{"name":"n","data":{{"x":{}}}}}}}"#,
        nested(100_000)
    );
    let texts = [
        "",
        " ",
        "null",
        "true",
        "0",
        "-1",
        "1e999",
        "[]",
        "{}",
        "\"text\"",
        "{",
        "[1,",
        "{\"userId\":",
        "NaN",
        "undefined",
        "{\"userId\":\"u\",\"data\":{\"name\":\"\\ud800\"}}",
        "{\"userId\":1e999}",
        "{\"userId\":\"\",\"data\":{\"name\":\"n\"}}",
        "{\"userId\":\"u\",\"data\":[]}",
        "{\"userId\":[],\"data\":{}}",
        "{\"userId\":\"u\",\"data\":{\"name\":\"n\",\"timestamp\":-1e300}}",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|it| it.as_bytes().to_vec()).collect();
    all.extend([
        b"\xff\xfe\x00".to_vec(),
        b"{\"userId\":\"\xc3\x28\"}".to_vec(),
        b"\x00".to_vec(),
    ]);
    all.extend([
        nested(1_000).into_bytes(),
        nested(100_000).into_bytes(),
        deep.into_bytes(),
    ]);
    all
}

const BAD_OPTS: [&str; 22] = [
    "",
    "null",
    "[]",
    "0",
    "\"x\"",
    "{",
    "\u{0}",
    r#"{"attempts":"five"}"#,
    r#"{"attempts":-1}"#,
    r#"{"attempts":1.5}"#,
    r#"{"attempts":1e300}"#,
    r#"{"attempts":null}"#,
    r#"{"backoff":"soon"}"#,
    r#"{"backoff":{"type":"lunar","delay":"x"}}"#,
    r#"{"backoff":-5}"#,
    r#"{"removeOnFail":"yes"}"#,
    r#"{"removeOnFail":{"count":"x"}}"#,
    r#"{"removeOnFail":{"age":-1,"limit":[]}}"#,
    r#"{"removeOnFail":true}"#,
    r#"{"removeOnComplete":[],"priority":"high","lifo":7}"#,
    r#"{"stackTraceLimit":"all","keepLogs":{},"sizeLimit":-1}"#,
    r#"{"repeat":{"pattern":"* *"},"delay":"later","jobId":7,"timestamp":"then"}"#,
];

const ODD_NUMBERS: [&str; 8] = [
    "",
    "abc",
    "-1",
    "1e30",
    "99999999999999999999999",
    "0x10",
    "NaN",
    "1.5",
];

/// Fields that BullMQ reads, and what they may wrongly hold.
const OTHER_FIELDS: [(&str, &str); 6] = [
    ("deid", ""),
    ("progress", "{"),
    ("stacktrace", "nonsense"),
    ("returnvalue", "nonsense"),
    ("parentKey", ""),
    ("failedReason", ""),
];

/// One of each.
pub(super) fn by_hand() -> Vec<Odd> {
    let mut all = Vec::new();
    all.extend(
        bad_data()
            .into_iter()
            .map(|data| Odd::plain("track", &data)),
    );
    all.extend(
        bad_data()
            .into_iter()
            .map(|data| Odd::plain("identify", &data)),
    );
    for opts in BAD_OPTS {
        all.push(good().with("opts", opts));
        all.push(Odd::plain("track", b"null").with("opts", opts));
    }
    for number in ODD_NUMBERS {
        all.push(Odd::plain("track", b"null").with("timestamp", number));
    }
    for field in ["name", "data", "opts", "timestamp", "delay", "priority"] {
        all.push(good().without(field));
        all.push(Odd {
            fields: vec![(field, b"1".to_vec())],
            place: Place::Wait,
        });
    }
    for name in [
        &b""[..],
        b"\xff\xfe",
        b"\x00",
        b"delete",
        b"TRACK",
        b"__proto__",
    ] {
        all.push(good().with("name", name));
    }
    for place in [Place::Wait, Place::Prioritized, Place::Delayed] {
        all.push(Odd {
            fields: Vec::new(),
            place,
        });
        all.push(Odd {
            place,
            ..Odd::plain("track", b"\xff")
        });
    }
    all
}

/// One of each wrong value of what BullMQ itself keeps in a job's hash.
pub(super) fn bookkeeping_by_hand() -> Vec<Odd> {
    let mut all = Vec::new();
    for number in ODD_NUMBERS {
        for field in ["delay", "priority", "atm", "ats", "stc", "processedOn"] {
            all.push(Odd::plain("track", b"null").with(field, number));
        }
        all.push(Odd {
            place: Place::Delayed,
            ..Odd::plain("track", b"null").with("priority", number)
        });
    }
    for (field, value) in OTHER_FIELDS {
        all.push(Odd::plain("track", b"null").with(field, value));
    }
    all
}

/// What a flow's child says of its parent, unreadable and without the key that makes it a child.
pub(super) fn parents_by_hand() -> Vec<Odd> {
    let parents = ["", "{", "[]", "null", "7"];
    let odd = |parent| Odd::plain("track", b"null").with("parent", parent);
    parents.into_iter().map(odd).collect()
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        any::<f32>().prop_map(|it| format!("{it:e}")),
        any::<String>().prop_map(|it| serde_json::json!(it).to_string()),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let keys = select(vec![
            "userId",
            "data",
            "name",
            "enqueuedAt",
            "timestamp",
            "id",
            "type",
            "__proto__",
            "x",
        ]);
        prop_oneof![
            vec_of(inner.clone()).prop_map(|all| format!("[{}]", all.join(","))),
            vec_of((keys, inner).prop_map(|(key, value)| format!("\"{key}\":{value}")))
                .prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

fn vec_of(one: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(one, 0..5)
}

/// What has the form of a job's data, with anything in its places.
fn any_of_the_form() -> impl Strategy<Value = String> {
    let user = prop_oneof![3 => Just("\"u\"".to_owned()), 1 => any_json()];
    let event = (any_json(), any_json())
        .prop_map(|(name, data)| format!(r#"{{"name":{name},"data":{data}}}"#));
    let named = any_json().prop_map(|data| format!(r#"{{"name":"odd","data":{data}}}"#));
    let data = prop_oneof![event, named, any_json()];
    (user, data, any_json()).prop_map(|(user, data, at)| {
        format!(r#"{{"userId":{user},"data":{data},"enqueuedAt":{at}}}"#)
    })
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any_of_the_form().prop_map(String::into_bytes),
        4 => any_json().prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..200),
        2 => select(bad_data()),
        1 => Just(GOOD_DATA.as_bytes().to_vec()),
    ]
}

fn any_opts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => select(BAD_OPTS.to_vec()).prop_map(|it| it.as_bytes().to_vec()),
        1 => any_bytes(),
        2 => Just(b"{\"attempts\":5}".to_vec()),
    ]
}

/// A job with some fields of any bytes, and some missing.
pub(super) fn odd() -> impl Strategy<Value = Odd> {
    let name = prop_oneof![
        4 => Just(b"track".to_vec()), 4 => Just(b"identify".to_vec()), 1 => proptest::collection::vec(any::<u8>(), 0..20),
    ];
    let timestamp = proptest::option::weighted(0.2, select(ODD_NUMBERS.to_vec()));
    let missing = proptest::option::weighted(
        0.2,
        select(vec![
            "name",
            "data",
            "opts",
            "timestamp",
            "delay",
            "priority",
        ]),
    );
    let place = select(vec![
        Place::Wait,
        Place::Wait,
        Place::Prioritized,
        Place::Delayed,
    ]);
    (name, any_bytes(), any_opts(), timestamp, missing, place).prop_map(
        |(name, data, opts, timestamp, missing, place)| {
            let mut job = Odd::plain("", &data).with("name", name).with("opts", opts);
            if let Some(timestamp) = timestamp {
                job = job.with("timestamp", timestamp);
            }
            if let Some(field) = missing {
                job = job.without(field);
            }
            Odd { place, ..job }
        },
    )
}
