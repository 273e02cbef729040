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
    /// `device` is what was said of it, without its token.
    AddDevice {
        person: Identity,
        token: String,
        device: Map<String, Value>,
    },
    DeleteDevice {
        person: Identity,
        token: String,
    },
    Suppress(Identity),
    Unsuppress(Identity),
    /// The secondary becomes a part of the primary.
    Merge {
        primary: Identity,
        secondary: Identity,
    },
    /// People join or leave a manual segment.
    Segment {
        segment: u32,
        people: Vec<Identity>,
        join: bool,
    },
    /// A submitted form; its fields become attributes.
    Form {
        person: Identity,
        attributes: Map<String, Value>,
    },
    /// What became of a message: a push event, a metric.
    Report,
    /// By the link of a delivery; which one is not kept, for nothing was ever delivered here.
    Unsubscribe,
    /// An object, or a relationship with one: accepted, and not kept.
    Relate,
}

/// An event of a person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    pub(super) person: Identity,
    pub(super) name: String,
    /// `event`, `page` or `screen`.
    pub(super) kind: &'static str,
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
            Self::AddDevice { .. } => "add_device",
            Self::DeleteDevice { .. } => "delete_device",
            Self::Suppress(_) => "suppress",
            Self::Unsuppress(_) => "unsuppress",
            Self::Merge { .. } => "merge",
            Self::Segment { .. } => "segment",
            Self::Form { .. } => "form",
            Self::Report => "report",
            Self::Unsubscribe => "unsubscribe",
            Self::Relate => "relate",
        }
    }

    /// Everyone who has to be free of suppression for it; to lift one is always possible.
    pub(super) fn concerns(&self) -> Vec<&Identity> {
        match self {
            Self::Identify { person, .. }
            | Self::Delete(person)
            | Self::AddDevice { person, .. }
            | Self::DeleteDevice { person, .. }
            | Self::Suppress(person)
            | Self::Form { person, .. } => vec![person],
            Self::Event(event) => vec![&event.person],
            Self::Merge { primary, secondary } => vec![primary, secondary],
            Self::Unsuppress(_)
            | Self::Segment { .. }
            | Self::Report
            | Self::Unsubscribe
            | Self::Relate => Vec::new(),
        }
    }
}

impl Event {
    /// The event that a checked body (v1) or batch item (v2) describes.
    pub(super) fn read(person: Identity, kind: &str, fields: &Map<String, Value>) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        Self {
            kind: match kind {
                "page" => "page",
                "screen" => "screen",
                _ => "event",
            },
            id: text("id").map(str::to_owned),
            person,
            name: text("name").unwrap_or_default().trim().to_owned(),
            timestamp: fields.get("timestamp").and_then(Value::as_i64),
        }
    }
}
