//! Removing jobs that wait.

use redis::Script;
use serde::Serialize;

use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::counts::QueueCounts;
use crate::queue::jobs::on_queue;
use crate::queue::names::QueueKeys;

const SCRIPT: &str = concat!(
    include_str!("../jobs/common.lua"),
    include_str!("../jobs/finish.lua"),
    include_str!("drain.lua")
);
/// Jobs in one script.
const CHUNK: u64 = 1000;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// Jobs that are gone.
    pub removed: u64,
    /// Jobs that stay because a flow or a scheduler owns them.
    pub kept: u64,
}

/// How many jobs a drain would look at.
pub fn waiting(counts: &QueueCounts, with_delayed: bool) -> u64 {
    parts(counts, with_delayed)
        .iter()
        .map(|(_, size)| size)
        .sum()
}

fn parts(counts: &QueueCounts, with_delayed: bool) -> [(&'static str, u64); 4] {
    [
        ("wait", counts.waiting),
        ("paused", counts.paused),
        ("prioritized", counts.prioritized),
        ("delayed", if with_delayed { counts.delayed } else { 0 }),
    ]
}

/// Removes as many jobs as waited when `counts` were read, the oldest first. What a worker has in
/// hand is finished by it. `progress` is told the number so far.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time; what is gone stays gone.
pub async fn drain(
    redis: &Redis,
    keys: &QueueKeys,
    counts: &QueueCounts,
    with_delayed: bool,
    mut progress: impl FnMut(u64),
) -> Result<Drained, QueueError> {
    let script = Script::new(SCRIPT);
    let mut total = Drained::default();
    for (part, size) in parts(counts, with_delayed) {
        let (mut seen, mut kept) = (0, 0);
        while seen < size {
            let mut invocation = on_queue(&script, keys);
            invocation.arg(part).arg(kept).arg(CHUNK.min(size - seen));
            let (removed, stay): (u64, u64) = redis.run(&invocation).await?;
            if removed + stay == 0 {
                break;
            }
            seen += removed + stay;
            kept += stay;
            total.removed += removed;
            progress(total.removed);
        }
        total.kept += kept;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delayed_jobs_count_only_where_asked_for_and_others_never() {
        let counts = QueueCounts {
            waiting: 1,
            paused: 2,
            prioritized: 4,
            delayed: 8,
            active: 16,
            failed: 32,
            ..QueueCounts::default()
        };
        assert_eq!(waiting(&counts, false), 7);
        assert_eq!(waiting(&counts, true), 15);
    }
}
