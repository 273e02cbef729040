//! Pausing and resuming, safe for BullMQ 5 and 6 on the other side.

use redis::Script;
use serde::Serialize;

use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::jobs::on_queue;
use crate::queue::names::QueueKeys;

const SCRIPT: &str = concat!(
    include_str!("../jobs/common.lua"),
    include_str!("pause.lua")
);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// No worker takes a job.
    Pause,
    /// Workers take jobs again.
    Resume,
}

/// What a paused queue has to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Major {
    /// As BullMQ 5 keeps it: its resume would write over `wait`, so nothing may be there.
    Five,
    /// As BullMQ 6 keeps it.
    Six,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether it was not so before.
    pub changed: bool,
    /// The BullMQ whose way of pausing was used.
    pub bullmq: u8,
    /// Jobs that are ready.
    pub ready: u64,
}

/// Pauses or resumes the queue, and loses none of its jobs whoever paused it before. Without `major`
/// it is what the last BullMQ was that opened the queue.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time.
pub async fn set(
    redis: &Redis,
    keys: &QueueKeys,
    wish: Wish,
    major: Option<Major>,
) -> Result<Outcome, QueueError> {
    let script = Script::new(SCRIPT);
    let mut invocation = on_queue(&script, keys);
    invocation
        .arg(match wish {
            Wish::Pause => "paused",
            Wish::Resume => "resumed",
        })
        .arg(match major {
            None => "",
            Some(Major::Five) => "5",
            Some(Major::Six) => "6",
        });
    let (changed, bullmq, ready): (u8, u8, u64) = redis.run(&invocation).await?;
    Ok(Outcome {
        changed: changed == 1,
        bullmq,
        ready,
    })
}
