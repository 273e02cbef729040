//! What a valid call or batch item asks for, whichever API version it came through.

use serde_json::{Map, Value};

use super::identity::Identity;

/// One thing to store.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operation {
    /// An upsert of a person's attributes; `at` (unix seconds) is the time they speak of.
    Identify {
        person: Identity,
        attributes: Map<String, Value>,
        at: Option<i64>,
    },
    Event(Event),
    Delete(Identity),
}

/// An event of a person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) person: Identity,
    pub(super) name: String,
    /// Unix seconds.
    pub(super) timestamp: Option<i64>,
}

impl Operation {
    /// For the metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Identify { .. } => "identify",
            Self::Event(_) => "event",
            Self::Delete(_) => "delete",
        }
    }
}

impl Event {
    /// The event that a checked body (v1) or batch item (v2) describes.
    pub(super) fn read(person: Identity, fields: &Map<String, Value>) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        Self {
            id: text("id").map(str::to_owned),
            person,
            name: text("name").unwrap_or_default().trim().to_owned(),
            timestamp: fields.get("timestamp").and_then(Value::as_i64),
        }
    }
}
