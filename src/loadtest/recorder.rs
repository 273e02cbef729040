//! What is counted and measured during a run. Written by the one thread that sends, read once a
//! second: its lock is never waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::Histogram;
use crate::delivery::operation::Kind;
use crate::runtime::http_client::TransportError;

/// Both latencies of a kind of request.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// From the request's first byte.
    pub from_send: Histogram,
    /// From when the schedule had its iteration start.
    pub from_schedule: Histogram,
}

/// One finished request.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Which of the two.
    pub kind: Kind,
    /// The answer's status; nothing where there was no answer.
    pub status: Option<u16>,
    /// From send to answer, or to giving up.
    pub from_send: Duration,
    /// From the iteration's due time.
    pub from_schedule: Duration,
    /// Whether it was given up at the time limit.
    pub timed_out: bool,
    /// Bytes of the request's body.
    pub sent: usize,
    /// Bytes of the answer's body.
    pub received: usize,
}

/// The numbers.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    /// Iterations begun.
    pub started: u64,
    /// Iterations that came to their end.
    pub completed: u64,
    /// Iterations for which no user was free.
    pub dropped: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests that were answered, whatever the answer.
    pub answered: u64,
    /// Answers that were not 200, and requests without one; each is a failed check.
    pub errors: u64,
    /// Failed checks of the identify calls.
    pub identify_errors: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by what was in the way.
    pub unanswered: BTreeMap<&'static str, u64>,
    /// Users in use now.
    pub users: usize,
    /// Users in use when an iteration was last due: what `vus` is judged by, for in the end there are none.
    pub users_when_due: usize,
    /// Users there are.
    pub allocated: usize,
    /// Of identify calls.
    pub identify: Latencies,
    /// Of track calls.
    pub track: Latencies,
    /// Of all requests, from send.
    pub all: Histogram,
    /// Of those that were answered with 200, from send.
    pub expected: Histogram,
    /// Bytes of the requests' bodies.
    pub sent: u64,
    /// Bytes of the answers' bodies.
    pub received: u64,
    /// Of whole iterations, with the pause.
    pub iterations: Histogram,
    /// Through the queue: of adding a job.
    pub enqueue: Histogram,
    /// Likewise: from before a job was added until it was known to be completed.
    pub lag: Histogram,
}

impl Recorder {
    /// Counts one request. One without an answer has no latency, but for a time-out: leaving that
    /// out would make the slowest server look fast.
    pub fn exchange(&mut self, it: Exchange) {
        self.requests += 1;
        self.sent += it.sent as u64;
        self.received += it.received as u64;
        if let Some(status) = it.status {
            self.answered += 1;
            *self.statuses.entry(status).or_default() += 1;
        }
        if it.status == Some(200) {
            self.expected.record(it.from_send);
        } else {
            self.failed(it.kind);
        }
        if it.status.is_some() || it.timed_out {
            let latencies = match it.kind {
                Kind::Identify => &mut self.identify,
                Kind::Track => &mut self.track,
            };
            latencies.from_send.record(it.from_send);
            latencies.from_schedule.record(it.from_schedule);
            self.all.record(it.from_send);
        }
    }

    /// Counts a job that was added, or not: then it is an error, and has no latency.
    pub fn enqueued(&mut self, kind: Kind, added_in: Option<Duration>) {
        self.requests += 1;
        match added_in {
            Some(duration) => self.enqueue.record(duration),
            None => self.failed(kind),
        }
    }

    /// Counts a job that has ended: completed after so long, or failed for good.
    pub fn ended(&mut self, kind: Kind, completed_after: Option<Duration>) {
        self.answered += 1;
        match completed_after {
            Some(duration) => self.lag.record(duration),
            None => self.failed(kind),
        }
    }

    fn failed(&mut self, kind: Kind) {
        self.errors += 1;
        self.identify_errors += u64::from(kind == Kind::Identify);
    }

    /// Counts why a request has no answer.
    pub fn unanswered(&mut self, error: &TransportError) {
        let reason = match error {
            TransportError::Timeout(_) => "no answer within the time limit",
            TransportError::Connect(_) | TransportError::Unsent => "cannot connect",
            TransportError::Broken(_) => "connection broken",
            TransportError::Body(_) => "cannot read the answer",
        };
        *self.unanswered.entry(reason).or_default() += 1;
    }

    /// Requests that were answered with 200, or jobs that completed.
    pub fn succeeded(&self) -> u64 {
        self.expected.count() + self.lag.count()
    }

    /// Answers with 429.
    pub fn throttled(&self) -> u64 {
        self.statuses.get(&429).copied().unwrap_or(0)
    }
}
