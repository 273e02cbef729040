//! How often a request is tried again before its jobs use an attempt of their own.

use std::time::Duration;

use crate::runtime::backoff::Backoff;

/// Sends of one request, the first included.
pub(super) const MAX_SENDS: u32 = 4;
/// A longer Retry-After is not sat out here: the jobs go back to the queue's own backoff.
const MAX_WAIT: Duration = Duration::from_secs(10);
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(250),
    most: Duration::from_secs(5),
};

/// The wait before the next send after `failures` failed ones, or `None` when it is enough. Never
/// shorter than what the answer asked for.
pub(super) fn wait(failures: u32, asked: Option<Duration>) -> Option<Duration> {
    let asked = asked.unwrap_or_default();
    (failures < MAX_SENDS && asked <= MAX_WAIT).then(|| BACKOFF.delay(failures).max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_sends_are_enough() {
        let waits = (1..=MAX_SENDS).map(|failures| wait(failures, None).is_some());
        assert_eq!(waits.collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn what_the_answer_asks_for_is_the_least() {
        let asked = Duration::from_secs(7);
        assert_eq!(wait(1, Some(asked)), Some(asked));
        assert_eq!(wait(1, Some(MAX_WAIT + Duration::from_secs(1))), None);
    }
}
