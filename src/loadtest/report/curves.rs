//! The two latencies that matter of a run, by the way that it went: what the plots, the tiles and the
//! comparison show.

use super::bins::Bin;
use super::document::{Latencies, Trend, Way};
use crate::loadtest::series::{Percentiles, Point};

/// One of them.
pub(super) struct Curve {
    /// Its name, after "latency".
    pub(super) name: &'static str,
    /// As the title of its plot.
    pub(super) title: &'static str,
    /// What it is of.
    pub(super) note: &'static str,
    /// The field of a point that it is in.
    pub(super) path: &'static str,
    /// In one stretch of the run.
    pub(super) in_point: fn(&Point) -> Option<Percentiles>,
    /// In one bin of the histogram.
    pub(super) in_bin: fn(&Bin) -> u64,
    /// In the whole run.
    pub(super) in_all: fn(&Latencies) -> Trend,
}

/// The shorter one, then the one that contains it.
pub(super) fn of(way: Way) -> [Curve; 2] {
    match way {
        Way::Api => [
            Curve {
                name: "from send",
                title: "Latency from send",
                note: "the request alone",
                path: "from_send",
                in_point: |it| it.from_send,
                in_bin: |it| it.from_send,
                in_all: |it| it.all.from_send,
            },
            Curve {
                name: "from schedule",
                title: "Latency from schedule",
                note: "from when it was due",
                path: "from_schedule",
                in_point: |it| it.from_schedule,
                in_bin: |it| it.from_schedule,
                in_all: |it| it.all.from_schedule,
            },
        ],
        Way::Queue => [
            Curve {
                name: "to enqueue",
                title: "Latency to enqueue",
                note: "until Redis had the job",
                path: "enqueue",
                in_point: |it| it.enqueue,
                in_bin: |it| it.enqueue,
                in_all: |it| it.enqueue.unwrap_or_default(),
            },
            Curve {
                name: "to acceptance",
                title: "Latency to acceptance",
                note: "from before a job was added until it was completed",
                path: "lag",
                in_point: |it| it.lag,
                in_bin: |it| it.lag,
                in_all: |it| it.lag.unwrap_or_default(),
            },
        ],
    }
}
