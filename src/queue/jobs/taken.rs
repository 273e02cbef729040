//! A job in the hands of this worker.

use std::sync::Arc;

use redis::{FromRedisValue, ParsingError, Value};

use super::policy::Policy;

/// A job that was taken, with what is needed to deliver it and to say what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Its id, its lock's token and how it may fail.
    pub ticket: Ticket,
    /// `identify`, `track`, or whatever its producer wrote.
    pub name: String,
    /// Its data as it lies in Redis: JSON, unless its producer wrote something else.
    pub data: Data,
    /// Set where it must fail without being tried: BullMQ's text for it.
    pub deferred_failure: Option<String>,
}

/// Bytes of a job's data that are taken out of Redis, at most: far more than any operation may have,
/// so that a job that is none does not fill the memory of one worker after the other.
pub const MAX_DATA: usize = 1024 * 1024;

/// A job's data.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// As it lies in Redis.
    Taken(Vec<u8>),
    /// It has so many bytes, and stayed there.
    TooLong(usize),
}

impl Data {
    /// Bytes of it that are in hand.
    pub fn len(&self) -> usize {
        match self {
            Self::Taken(bytes) => bytes.len(),
            Self::TooLong(_) => 0,
        }
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is kept of a job until it is finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticket {
    /// The job's id.
    pub id: String,
    /// What its lock holds.
    pub token: Arc<str>,
    /// When it was added, in ms since the Unix epoch by its producer's clock.
    pub timestamp_ms: u64,
    /// Attempts that have failed before this one.
    pub attempts_made: u32,
    /// What its options say.
    pub policy: Policy,
    /// The stack traces of attempts before this one: a JSON array of strings.
    pub stacks: Option<String>,
}

/// A job as `take.lua` answers it: id, name, data, opts, timestamp, atm, stacktrace, defa, and
/// how long its data is where that stayed in Redis.
#[derive(Debug)]
pub(super) struct Row([Option<Vec<u8>>; 9]);

impl FromRedisValue for Row {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let fields: Vec<Option<Vec<u8>>> = FromRedisValue::from_redis_value(value)?;
        let fields = fields.try_into().map(Self);
        fields.map_err(|_| ParsingError::from("not the fields of a job"))
    }
}

impl Row {
    /// The job, taken under `token`.
    pub(super) fn taken(self, token: &Arc<str>) -> Taken {
        let [
            id,
            name,
            data,
            opts,
            timestamp,
            made,
            stacks,
            deferred,
            left,
        ] = self.0;
        let text =
            |bytes: Option<Vec<u8>>| bytes.map(|it| String::from_utf8_lossy(&it).into_owned());
        let number = |bytes: Option<Vec<u8>>| text(bytes).and_then(|it| it.parse::<u64>().ok());
        Taken {
            ticket: Ticket {
                id: text(id).unwrap_or_default(),
                token: Arc::clone(token),
                timestamp_ms: number(timestamp).unwrap_or(0),
                attempts_made: number(made).map_or(0, |it| u32::try_from(it).unwrap_or(u32::MAX)),
                policy: Policy::read(opts.as_deref().unwrap_or_default()),
                stacks: text(stacks),
            },
            name: text(name).unwrap_or_default(),
            data: match number(left) {
                Some(bytes) => Data::TooLong(usize::try_from(bytes).unwrap_or(usize::MAX)),
                None => Data::Taken(data.unwrap_or_default()),
            },
            deferred_failure: text(deferred),
        }
    }
}
