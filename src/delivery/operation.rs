//! What a job asks for: identify or track one user. Read from the job's name and data, refusing
//! what can never be delivered with the field and the remedy.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::unix_time;

/// A JSON object.
pub type Object = Map<String, Value>;

/// The two kinds of job, as the producer names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Create or update a person.
    Identify,
    /// Record an event of a person.
    Track,
}

impl Kind {
    /// The job's name, and the label value in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Track => "track",
        }
    }
}

/// One operation, borrowing from the job it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation<'a> {
    /// Whom it is about: an id, an e-mail address or `cio_…`, as the producer wrote it.
    pub user_id: Cow<'a, str>,
    /// What is to happen.
    pub action: Action<'a>,
    /// When the producer enqueued it, in ms since the Unix epoch.
    pub enqueued_at_ms: u64,
}

/// What is to happen to the person.
#[derive(Debug, Clone, PartialEq)]
pub enum Action<'a> {
    /// Set these attributes.
    Identify(Attributes<'a>),
    /// Record this event.
    Track(Event<'a>),
}

/// The attributes of an identify.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes<'a> {
    /// As the producer wrote them.
    pub map: Option<&'a Object>,
    /// The producer's own `_timestamp`, in unix seconds.
    pub timestamp: Option<i64>,
    /// `created_at` in unix seconds, where it is a number.
    pub created_at: Option<i64>,
}

/// An event as the producer wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// The whole body, for what is passed through.
    pub body: &'a Object,
    /// Its name.
    pub name: &'a str,
    /// `event`, `page` or `screen`, where the producer says so.
    pub kind: Option<&'a str>,
    /// The producer's own id.
    pub id: Option<&'a str>,
    /// The producer's own time, in unix seconds.
    pub timestamp: Option<i64>,
    /// The event's data.
    pub data: Option<&'a Object>,
}

impl<'a> Operation<'a> {
    /// Reads a job called `name` with `data` as `{userId, data, enqueuedAt}`. Where `enqueuedAt`
    /// is missing, `added_at_ms` (the queue's own time stamp of the job) stands in for it.
    pub fn read(name: &str, data: &'a Value, added_at_ms: u64) -> Result<Self, Refusal> {
        let kind = match name {
            "identify" => Kind::Identify,
            "track" => Kind::Track,
            _ => return Err(Refusal::UnknownName),
        };
        let job = data.as_object().ok_or(Refusal::DataNotObject)?;
        Ok(Self {
            user_id: user_id(job)?,
            action: match kind {
                Kind::Identify => Action::Identify(attributes(job)?),
                Kind::Track => Action::Track(event(job)?),
            },
            enqueued_at_ms: match present(job, "enqueuedAt") {
                None => added_at_ms,
                Some(at) => unix_time::milliseconds(at).ok_or(Refusal::Time("enqueuedAt"))?,
            },
        })
    }

    /// Which of the two it is.
    pub fn kind(&self) -> Kind {
        match self.action {
            Action::Identify(_) => Kind::Identify,
            Action::Track(_) => Kind::Track,
        }
    }
}

fn user_id(job: &Object) -> Result<Cow<'_, str>, Refusal> {
    match present(job, "userId").ok_or(Refusal::UserIdMissing)? {
        Value::String(id) if id.is_empty() => Err(Refusal::UserIdEmpty),
        Value::String(id) => Ok(Cow::Borrowed(id)),
        Value::Number(id) => Ok(Cow::Owned(id.to_string())),
        _ => Err(Refusal::UserIdType),
    }
}

fn attributes(job: &Object) -> Result<Attributes<'_>, Refusal> {
    let Some(data) = present(job, "data") else {
        return Ok(Attributes::default());
    };
    let map = data.as_object().ok_or(Refusal::BodyNotObject("identify"))?;
    Ok(Attributes {
        map: Some(map),
        timestamp: time(map, "_timestamp", "data._timestamp")?,
        // Customer.io takes any value for an attribute: only a number can be milliseconds.
        created_at: map.get("created_at").and_then(unix_time::seconds),
    })
}

fn event(job: &Object) -> Result<Event<'_>, Refusal> {
    let data = present(job, "data").ok_or(Refusal::EventNameMissing)?;
    let body = data.as_object().ok_or(Refusal::BodyNotObject("event"))?;
    let name = present(body, "name").ok_or(Refusal::EventNameMissing)?;
    let name = name.as_str().ok_or(Refusal::EventNameBlank)?;
    if name.trim().is_empty() {
        return Err(Refusal::EventNameBlank);
    }
    Ok(Event {
        body,
        name,
        kind: event_kind(body)?,
        id: match present(body, "id") {
            None => None,
            Some(id) => Some(id.as_str().ok_or(Refusal::EventIdType)?),
        },
        timestamp: time(body, "timestamp", "data.timestamp")?,
        data: match present(body, "data") {
            None => None,
            Some(data) => Some(data.as_object().ok_or(Refusal::EventDataNotObject)?),
        },
    })
}

fn event_kind(body: &Object) -> Result<Option<&str>, Refusal> {
    match present(body, "type") {
        None => Ok(None),
        Some(kind) => match kind.as_str() {
            Some(kind @ ("event" | "page" | "screen")) => Ok(Some(kind)),
            _ => Err(Refusal::EventType),
        },
    }
}

fn time(map: &Object, key: &str, field: &'static str) -> Result<Option<i64>, Refusal> {
    present(map, key)
        .map(|at| unix_time::seconds(at).ok_or(Refusal::Time(field)))
        .transpose()
}

/// A member that is there and not null: JavaScript writes either for "none".
fn present<'a>(map: &'a Object, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_guides_jobs_are_read() {
        let data = json!({"userId": "u1", "data": {"email": "u@example.com"}, "enqueuedAt": 1_700_000_000_123_u64});
        let operation = Operation::read("identify", &data, 5).unwrap();
        assert_eq!(operation.user_id, "u1");
        assert_eq!(operation.enqueued_at_ms, 1_700_000_000_123);
        assert_eq!(operation.kind(), Kind::Identify);

        let data = json!({"userId": 17, "data": {"name": "bought", "data": {"n": 1}}});
        let operation = Operation::read("track", &data, 5).unwrap();
        assert_eq!((&*operation.user_id, operation.enqueued_at_ms), ("17", 5));
    }

    #[test]
    fn what_can_never_be_delivered_is_refused_by_its_field() {
        let track = |body: Value| json!({"userId": "u", "data": body});
        for (name, data, refusal) in [
            ("delete", json!({"userId": "u"}), Refusal::UnknownName),
            ("identify", json!(null), Refusal::DataNotObject),
            ("identify", json!([1]), Refusal::DataNotObject),
            ("identify", json!({}), Refusal::UserIdMissing),
            ("identify", json!({"userId": null}), Refusal::UserIdMissing),
            ("identify", json!({"userId": true}), Refusal::UserIdType),
            ("identify", json!({"userId": ""}), Refusal::UserIdEmpty),
            (
                "identify",
                track(json!("x")),
                Refusal::BodyNotObject("identify"),
            ),
            (
                "identify",
                track(json!({"_timestamp": "now"})),
                Refusal::Time("data._timestamp"),
            ),
            ("track", json!({"userId": "u"}), Refusal::EventNameMissing),
            ("track", track(json!("x")), Refusal::BodyNotObject("event")),
            ("track", track(json!({})), Refusal::EventNameMissing),
            (
                "track",
                track(json!({"name": " "})),
                Refusal::EventNameBlank,
            ),
            ("track", track(json!({"name": 1})), Refusal::EventNameBlank),
            (
                "track",
                track(json!({"name": "n", "data": []})),
                Refusal::EventDataNotObject,
            ),
            (
                "track",
                track(json!({"name": "n", "id": 1})),
                Refusal::EventIdType,
            ),
            (
                "track",
                track(json!({"name": "n", "type": "x"})),
                Refusal::EventType,
            ),
            (
                "track",
                track(json!({"name": "n", "timestamp": "x"})),
                Refusal::Time("data.timestamp"),
            ),
            (
                "track",
                json!({"userId": "u", "data": {"name": "n"}, "enqueuedAt": {}}),
                Refusal::Time("enqueuedAt"),
            ),
        ] {
            assert_eq!(
                Operation::read(name, &data, 0),
                Err(refusal),
                "{name} {data}"
            );
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            let key = prop_oneof![
                Just("userId".to_owned()),
                Just("data".to_owned()),
                Just("name".to_owned()),
                Just("enqueuedAt".to_owned()),
                Just("timestamp".to_owned()),
                ".{0,6}"
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key, inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_data_is_read_or_refused(data in any_json(), track in any::<bool>()) {
            let name = if track { "track" } else { "identify" };
            let mut said = String::new();
            if let Err(refusal) = Operation::read(name, &data, 1) {
                said = refusal.to_string();
            }
            prop_assert!(said.len() < 200);
        }
    }
}
