//! The document: its fields are those of the JSON file. Times end in `_s` or `_ms`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::bins::Bin;
use super::compare::Comparison;
use crate::loadtest::series::Point;
use crate::loadtest::thresholds::{DEFAULTS, QUEUE_DEFAULTS};

/// The document's version: one that this program cannot read has another.
pub const VERSION: u32 = 2;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The program and its version.
    pub program: String,
    /// The run's id.
    pub run: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, with the wait for the last iterations.
    pub elapsed_s: f64,
    /// Where it went.
    pub workspace: Workspace,
    /// Which way the operations went.
    pub way: Way,
    /// What was asked for.
    pub profile: Load,
    /// What `--adapt` made of the load; nothing without it.
    pub adapt: Option<Adapted>,
    /// Whether it passed.
    pub verdict: Verdict,
    /// What it was judged by.
    pub thresholds: Vec<Threshold>,
    /// Counts of the whole run.
    pub totals: Totals,
    /// Latencies of the whole run.
    pub latencies: Latencies,
    /// How often which latency occurred, both kinds of request together.
    pub histogram: Vec<Bin>,
    /// The run in stretches of a second, of more where it was long.
    pub series: Vec<Point>,
    /// What became of the test users; nothing where that could not be found out.
    pub clean_up: Option<CleanUp>,
    /// Against an earlier run, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// The workspace, without its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its site id.
    pub site_id: String,
    /// The Track API's root.
    pub url: String,
    /// `us` or `eu`.
    pub region: String,
}

/// Which way the operations went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// As requests of the test's own.
    Api,
    /// Through the queue and its workers.
    Queue,
}

impl Way {
    /// As it is written after `--through`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Queue => "queue",
        }
    }

    /// The thresholds where none are given.
    pub fn thresholds(self) -> &'static [&'static str] {
        match self {
            Self::Api => &DEFAULTS,
            Self::Queue => &QUEUE_DEFAULTS,
        }
    }

    /// What is counted on it.
    pub fn counted(self) -> &'static str {
        match self {
            Self::Api => "requests",
            Self::Queue => "jobs",
        }
    }
}

/// The load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Iterations a second at the start.
    pub start_rate: f64,
    /// What follows.
    pub stages: Vec<Stage>,
    /// How long a user pauses after an iteration.
    pub think_time_ms: f64,
    /// Users that are there from the start.
    pub pre_allocated_users: usize,
    /// Users there can be.
    pub max_users: usize,
    /// How long it lasts.
    pub duration_s: f64,
    /// Iterations it plans; each is two requests.
    pub iterations: u64,
    /// Requests a second at its peak.
    pub peak_requests_per_second: f64,
}

/// A straight line of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Iterations a second at its end.
    pub target: f64,
    /// How long it takes.
    pub duration_s: f64,
}

/// The rate that a workspace took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adapted {
    /// Which share of the load's rate was asked at the end; 1 where it never fell.
    pub share: f64,
    /// Requests a second that held without 429; nothing where none did.
    pub held_requests_per_second: Option<f64>,
    /// For so many seconds.
    pub held_s: u64,
}

impl Adapted {
    /// Whether less than the load was asked.
    pub fn lowered(&self) -> bool {
        self.share < 1.0
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every threshold held, and enough of the plan was done.
    Passed,
    /// A threshold did not hold.
    Crossed,
    /// Too little of the plan was done.
    FellShort,
    /// It is worse than its baseline by more than is tolerated.
    GotWorse,
}

/// The outcome and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which.
    pub outcome: Outcome,
    /// Why it is no pass.
    pub reasons: Vec<String>,
}

/// A threshold with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Of what.
    pub metric: String,
    /// As it was written.
    pub expression: String,
    /// What it was measured to be.
    pub value: f64,
    /// Whether it held.
    pub held: bool,
}

/// Counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Iterations begun.
    pub started: u64,
    /// Iterations that came to their end.
    pub completed: u64,
    /// Iterations for which no user was free.
    pub dropped: u64,
    /// Requests that were answered or given up; through the queue, jobs that were to be added.
    pub requests: u64,
    /// Requests that were answered, whatever the answer; through the queue, jobs that came to their end.
    pub answered: u64,
    /// Answers that were not 200, and requests without one; through the queue, jobs that were not added
    /// or failed for good.
    pub errors: u64,
    /// Those of identify calls; the others are of track calls.
    pub identify_errors: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Users there were at the end.
    pub users: usize,
    /// Completed iterations a second, over the whole time.
    pub iterations_per_second: f64,
    /// Requests a second, likewise.
    pub requests_per_second: f64,
    /// Errors, as a share of the requests from 0 to 1.
    pub error_share: f64,
    /// Answers with 429, likewise.
    pub throttled_share: f64,
    /// Dropped iterations, as a share of the planned ones.
    pub dropped_share: f64,
}

/// Latencies by kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Of identify calls.
    #[serde(default, skip_serializing_if = "Measured::is_empty")]
    pub identify: Measured,
    /// Of track calls.
    #[serde(default, skip_serializing_if = "Measured::is_empty")]
    pub track: Measured,
    /// Of both.
    #[serde(default, skip_serializing_if = "Measured::is_empty")]
    pub all: Measured,
    /// Of whole iterations, with the pause.
    pub iteration: Trend,
    /// Of adding a job; only through the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enqueue: Option<Trend>,
    /// From before a job was added until its completion was heard of; only through the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Trend>,
}

/// Both latencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// From the request's first byte.
    pub from_send: Trend,
    /// From when its iteration was due.
    pub from_schedule: Trend,
}

/// Durations in ms; zeroes where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// How many there are.
    pub count: u64,
    /// Their mean.
    pub avg: f64,
    /// The smallest.
    pub min: f64,
    /// Half of them are below it.
    pub p50: f64,
    /// 90 of 100.
    pub p90: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// What became of the test users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanUp {
    /// Users that were created.
    pub created: usize,
    /// Deletes that were not accepted.
    pub failed: usize,
    /// Users that are still there; nothing where it could not be verified.
    pub left: Option<usize>,
    /// Jobs that may create their users again: a worker has them, or Redis did not say whether it took them.
    #[serde(default)]
    pub doubtful: usize,
}

impl Measured {
    /// Whether nothing was measured: then it is left out.
    fn is_empty(&self) -> bool {
        self.from_send.count == 0 && self.from_schedule.count == 0
    }
}

impl Totals {
    /// Answers with 429.
    pub fn throttled(&self) -> u64 {
        self.statuses.get(&429).copied().unwrap_or(0)
    }

    /// Requests without an answer.
    pub fn unanswered(&self) -> u64 {
        self.requests - self.answered.min(self.requests)
    }
}
