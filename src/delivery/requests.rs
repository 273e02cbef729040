//! Sending one request until its operations are settled: turns, retries, splits.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::TrackClient;
use super::encode::{Call, Encoded, batch_call};
use super::limiter::{Limiter, Turn};
use super::metrics::DeliveryMetrics;
use super::operation::Kind;
use super::outcome::{Outcome, Verdict, decide};
use super::reason::Reason;
use super::retry;
use crate::runtime::clock::Clock;

/// What the engine sends with.
#[derive(Debug)]
pub struct EngineParts {
    /// The Track API.
    pub client: TrackClient,
    /// The workspace's limit, where there is one.
    pub limiter: Option<Limiter>,
    /// What is counted.
    pub metrics: DeliveryMetrics,
    /// For time stamps.
    pub clock: Clock,
}

/// An operation whose producer waits for its outcome.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) encoded: Encoded,
    pub(super) kind: Kind,
    pub(super) enqueued_at_ms: u64,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Sends requests, each until it is settled.
#[derive(Debug)]
pub(super) struct Requests {
    client: TrackClient,
    limiter: Option<Limiter>,
    metrics: DeliveryMetrics,
    clock: Clock,
    stop: CancellationToken,
}

/// How a request came out.
enum Settled {
    /// Accepted, but for these.
    Accepted(Vec<(usize, Reason)>),
    /// To be sent again in two halves.
    Split,
    /// The same for all its operations.
    All(Outcome),
}

impl Requests {
    pub(super) fn new(parts: EngineParts, stop: CancellationToken) -> Self {
        let EngineParts {
            client,
            limiter,
            metrics,
            clock,
        } = parts;
        Self {
            client,
            limiter,
            metrics,
            clock,
            stop,
        }
    }

    /// A turn, where there is a limit.
    pub(super) async fn turn(&self, wanted: usize) -> Option<Turn> {
        match &self.limiter {
            Some(limiter) => Some(limiter.turn(wanted).await),
            None => None,
        }
    }

    /// Sends `operations` in one request, or in parts where Customer.io wants it so, and tells
    /// each its outcome.
    pub(super) async fn deliver(&self, operations: Vec<Waiting>, mut turn: Option<Turn>) {
        let mut parts = VecDeque::from([operations]);
        while let Some(mut part) = parts.pop_front() {
            match self.settle(&part, turn.take()).await {
                Settled::Accepted(rejected) => self.finish_accepted(part, rejected),
                Settled::Split => {
                    let second = part.split_off(part.len() / 2);
                    parts.push_front(second);
                    parts.push_front(part);
                }
                Settled::All(outcome) => {
                    // What hit this part would hit the rest, which has not been sent: it takes no
                    // blame, and no operation overtakes an earlier one of its user.
                    let rest = matches!(outcome, Outcome::Rejected(_));
                    self.finish_all(part, &outcome);
                    if !rest {
                        parts
                            .drain(..)
                            .for_each(|part| self.finish_all(part, &Outcome::Returned));
                    }
                }
            }
        }
    }

    /// Tells an operation its outcome.
    pub(super) fn finish(&self, operation: Waiting, outcome: Outcome) {
        self.metrics.job(operation.kind.as_str(), &outcome);
        if outcome == Outcome::Delivered {
            let lag = self.clock.now_ms().saturating_sub(operation.enqueued_at_ms);
            self.metrics
                .accepted(operation.kind, Duration::from_millis(lag));
        }
        // Whoever asked may have gone: then nobody needs to know.
        operation.reply.send(outcome).ok();
    }

    fn finish_all(&self, operations: Vec<Waiting>, outcome: &Outcome) {
        for operation in operations {
            self.finish(operation, outcome.clone());
        }
    }

    fn finish_accepted(&self, operations: Vec<Waiting>, rejected: Vec<(usize, Reason)>) {
        let mut reasons: Vec<Option<Reason>> = vec![None; operations.len()];
        for (index, reason) in rejected {
            reasons[index] = Some(reason);
        }
        for (operation, reason) in operations.into_iter().zip(reasons) {
            self.finish(
                operation,
                reason.map_or(Outcome::Delivered, Outcome::Rejected),
            );
        }
    }

    async fn settle(&self, part: &[Waiting], mut turn: Option<Turn>) -> Settled {
        let call = call_of(part);
        let mut failures = 0;
        loop {
            let in_turn = self.stop.run_until_cancelled(self.in_turn(turn.take()));
            if in_turn.await.is_none() {
                return Settled::All(Outcome::Returned);
            }
            let (after, throttled, reason) = match self.send(&call, part.len()).await {
                Verdict::Accepted { rejected } => return Settled::Accepted(rejected),
                Verdict::Split => return Settled::Split,
                Verdict::Reject(reason) => return Settled::All(Outcome::Rejected(reason)),
                Verdict::Hold(reason) => return Settled::All(Outcome::Held(reason)),
                Verdict::Fail(reason) => return Settled::All(Outcome::Failed(reason)),
                Verdict::Retry {
                    after,
                    throttled,
                    reason,
                } => (after, throttled, reason),
            };
            failures += 1;
            let pause = self.pause(failures, after, throttled);
            match self.stop.run_until_cancelled(pause).await {
                None => return Settled::All(Outcome::Returned),
                Some(false) => return Settled::All(Outcome::Failed(reason)),
                Some(true) => {}
            }
        }
    }

    /// Waits before the next send; `false` when there is to be none.
    async fn pause(&self, failures: u32, after: Option<Duration>, throttled: bool) -> bool {
        let asked = match &self.limiter {
            // Then everybody waits, this request for its turn.
            Some(limiter) if throttled => {
                limiter.throttled(after).await;
                None
            }
            _ => after,
        };
        match retry::wait(failures, asked) {
            Some(wait) => {
                tokio::time::sleep(wait).await;
                true
            }
            None => false,
        }
    }

    async fn in_turn(&self, turn: Option<Turn>) {
        if !turn.is_some_and(|turn| turn.is_good()) {
            self.turn(1).await;
        }
    }

    async fn send(&self, call: &Call, operations: usize) -> Verdict {
        let sent = Instant::now();
        let reply = self.client.send(call).await;
        self.metrics
            .request(reply.as_ref(), sent.elapsed(), operations);
        decide(operations, reply.as_ref(), self.clock.now())
    }
}

fn call_of(part: &[Waiting]) -> Call {
    if let [
        Waiting {
            encoded: Encoded::Call(call),
            ..
        },
    ] = part
    {
        return call.clone();
    }
    let items: Vec<_> = part
        .iter()
        .map(|operation| match &operation.encoded {
            Encoded::Item(item) => item,
            // The batcher gives these a request of their own.
            Encoded::Call(call) => &call.body,
        })
        .collect();
    batch_call(items.into_iter())
}
