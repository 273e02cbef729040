//! The limits that Customer.io documents for the Track API (its API description and the page
//! "Invalid API requests"), all in bytes of UTF-8.

use serde_json::Value;

use crate::delivery::operation::{Action, Attributes, Event, Operation};
use crate::delivery::refusal::Refusal;

const USER_ID: usize = 150;
const EVENT_NAME: usize = 100;
const EVENT_DATA: usize = 100_000;
const ATTRIBUTES: usize = 300;
const ATTRIBUTE_NAME: usize = 150;
const ATTRIBUTE_VALUE: usize = 1_000;
/// One member of a batch.
pub const BATCH_ITEM: usize = 32 * 1024;
/// The body of a batch. The documented limit is "500kb"; senders disagree on what that is, and
/// this is below every reading of it.
pub const MAX_BATCH: usize = 480_000;
/// For a batch so many jobs are held: enough to fill it with jobs of usual size, no matter how small they are.
pub const JOBS_PER_BATCH: usize = 200;

/// Refuses what Customer.io would refuse.
pub(super) fn check(operation: &Operation<'_>) -> Result<(), Refusal> {
    at_most(USER_ID, operation.user_id.len(), || "userId".to_owned())?;
    match &operation.action {
        Action::Identify(attributes) => check_attributes(attributes),
        Action::Track(event) => check_event(event),
    }
}

fn check_attributes(attributes: &Attributes<'_>) -> Result<(), Refusal> {
    let Some(map) = attributes.map else {
        return Ok(());
    };
    if map.len() > ATTRIBUTES {
        return Err(Refusal::TooManyAttributes {
            count: map.len(),
            limit: ATTRIBUTES,
        });
    }
    for (name, value) in map {
        at_most(ATTRIBUTE_NAME, name.len(), || {
            "an attribute's name".to_owned()
        })?;
        // The limit is documented for values that are texts; how it counts objects and lists is
        // not, and Customer.io says so itself where one is too large.
        if let Value::String(text) = value {
            at_most(ATTRIBUTE_VALUE, text.len(), || {
                format!("the attribute {name:?}")
            })?;
        }
    }
    Ok(())
}

fn check_event(event: &Event<'_>) -> Result<(), Refusal> {
    at_most(EVENT_NAME, event.name.len(), || "data.name".to_owned())?;
    let bytes = event.data.map_or(0, |data| super::json(data).len());
    at_most(EVENT_DATA, bytes, || "data.data".to_owned())
}

fn at_most(limit: usize, bytes: usize, what: impl FnOnce() -> String) -> Result<(), Refusal> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Refusal::TooLong {
        what: what(),
        bytes,
        limit,
    })
}
