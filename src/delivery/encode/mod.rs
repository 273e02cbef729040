//! Operation → bytes. Pure; every documented limit is checked here, in UTF-8 bytes.

mod edited;
mod limits;
mod v1;
mod v2;

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;

pub use limits::{BATCH_ITEM, JOBS_PER_BATCH, MAX_BATCH};

use super::Mode;
use super::event_id::event_id;
use super::operation::{Kind, Operation};
use super::refusal::Refusal;

/// One request, without host and credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// The path from the root, percent-encoded.
    pub path: String,
    /// The body, JSON.
    pub body: Bytes,
}

/// An operation's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    /// One member of a batch.
    Item(Bytes),
    /// A request of its own.
    Call(Call),
}

impl Encoded {
    /// Bytes of JSON.
    pub fn len(&self) -> usize {
        match self {
            Self::Item(item) => item.len(),
            Self::Call(call) => call.body.len(),
        }
    }

    /// Never: JSON has at least two bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which job an operation came from, for the event's id.
#[derive(Debug, Clone, Copy)]
pub struct JobRef<'a> {
    /// Prefix and name of the queue.
    pub queue: &'a str,
    /// The job's id.
    pub id: &'a str,
}

/// An operation that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Whom it is about; operations of one user keep their order.
    pub user: Arc<str>,
    /// Which of the two kinds it is.
    pub kind: Kind,
    /// When it was enqueued, in ms since the Unix epoch.
    pub enqueued_at_ms: u64,
    /// Its bytes.
    pub encoded: Encoded,
}

/// Encodes `operation` for `mode`. In batch mode one that is too large for a batch's item becomes
/// a v1 call.
pub fn prepare(
    operation: &Operation<'_>,
    mode: Mode,
    job: JobRef<'_>,
) -> Result<Prepared, Refusal> {
    limits::check(operation)?;
    let id = event_id(job.queue, job.id, operation.enqueued_at_ms);
    let encoded = match mode {
        Mode::Single => Encoded::Call(v1::call(operation, &id)?),
        Mode::Batch => match v2::item(operation, &id) {
            Some(item) => Encoded::Item(item),
            None => Encoded::Call(v1::call(operation, &id)?),
        },
    };
    Ok(Prepared {
        user: v2::identity(&operation.user_id).as_ref().into(),
        kind: operation.kind(),
        enqueued_at_ms: operation.enqueued_at_ms,
        encoded,
    })
}

/// The request that carries `items`. Its body has `{"batch":[…]}` and the commas around them.
pub fn batch_call<'a>(items: impl ExactSizeIterator<Item = &'a Bytes>) -> Call {
    v2::batch(items)
}

/// The attribute that is none: what a person is to be related to.
const RELATIONSHIPS: &str = "cio_relationships";
const ADD: &str = "add_relationships";

/// What an item adds to a batch's body beside its own bytes: a comma.
pub(super) const ITEM_OVERHEAD: usize = 1;
/// What a batch's body holds beside its items: `{"batch":[` and `]}`.
pub(super) const BATCH_OVERHEAD: usize = v2::OPEN.len() + v2::CLOSE.len();

/// JSON of a value whose parts all came from JSON.
fn json(value: &impl serde::Serialize) -> Bytes {
    // Strings, numbers, maps with string keys: serde_json refuses none of these.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
mod tests;
