//! The guide's four architectures, by events a day.

use serde::Serialize;

/// What a volume calls for: rows T1 to T4 of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Tier {
    /// Below 100,000 events a day.
    #[serde(rename = "T1")]
    Direct,
    /// 100,000 to 1,000,000.
    #[serde(rename = "T2")]
    Batched,
    /// 1,000,000 to 10,000,000.
    #[serde(rename = "T3")]
    Queued,
    /// Above 10,000,000.
    #[serde(rename = "T4")]
    Distributed,
}

impl Tier {
    /// The tier of so many events a day.
    pub fn of(events_per_day: u64) -> Self {
        match events_per_day {
            0..100_000 => Self::Direct,
            100_000..1_000_000 => Self::Batched,
            1_000_000..=10_000_000 => Self::Queued,
            _ => Self::Distributed,
        }
    }

    /// The guide's row and name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Direct => "T1, direct API",
            Self::Batched => "T2, batched API",
            Self::Queued => "T3, queue-backed",
            Self::Distributed => "T4, distributed",
        }
    }

    /// Which volumes it is for.
    pub fn range(self) -> &'static str {
        match self {
            Self::Direct => "below 100,000 events a day",
            Self::Batched => "100,000 to 1,000,000 events a day",
            Self::Queued => "1,000,000 to 10,000,000 events a day",
            Self::Distributed => "above 10,000,000 events a day",
        }
    }

    /// What it consists of.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Direct => {
                "one client with retries and pooled connections in your application; a queue is not needed yet"
            }
            Self::Batched => "an event queue, a batch processor and a rate limiter",
            Self::Queued => "a Redis queue, a pool of workers and backpressure",
            Self::Distributed => "several workspaces, sharded queues, regional routing",
        }
    }

    /// The fewest workspaces, whatever the rate: one that is throttled must not stop everything.
    pub(super) fn least_workspaces(self) -> u64 {
        match self {
            Self::Distributed => 2,
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tiers_begin_where_the_guide_says() {
        let cases = [
            (0, Tier::Direct),
            (99_999, Tier::Direct),
            (100_000, Tier::Batched),
            (999_999, Tier::Batched),
            (1_000_000, Tier::Queued),
            (10_000_000, Tier::Queued),
            (10_000_001, Tier::Distributed),
        ];
        for (events, tier) in cases {
            assert_eq!(Tier::of(events), tier, "{events}");
        }
    }
}
