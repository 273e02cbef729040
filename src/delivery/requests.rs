//! Sending one request until its operations are settled: turns, splits, and whose fault it is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::circuit::{Breaker, Failure, Judgement, Order};
use super::client::TrackClient;
use super::encode::{Call, Encoded, batch_call};
use super::limiter::{Limiter, Turn};
use super::metrics::DeliveryMetrics;
use super::operation::Kind;
use super::outcome::{Outcome, Verdict, decide};
use super::reason::Reason;
use super::{retry, spans};
use crate::runtime::clock::Clock;
use crate::runtime::http_client::TransportError;
use crate::runtime::http_connections::Connection;

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
    /// Whether anything is sent.
    pub breaker: Breaker,
}

/// An operation whose producer waits for its outcome.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) user: Arc<str>,
    pub(super) order: Order,
    /// Whether it is sent to see whether anything can be.
    pub(super) probe: bool,
    pub(super) encoded: Encoded,
    pub(super) kind: Kind,
    pub(super) enqueued_at_ms: u64,
    /// Its job's, for traces.
    pub(super) span: Span,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Sends requests, each until it is settled.
#[derive(Debug)]
pub(super) struct Requests {
    client: TrackClient,
    limiter: Option<Limiter>,
    metrics: DeliveryMetrics,
    clock: Clock,
    breaker: Breaker,
    stop: CancellationToken,
}

/// Operations of one request, and what is known of its failures.
struct Part {
    operations: Vec<Waiting>,
    probe: bool,
    /// Sends that did not go well.
    sends: u32,
    /// How many requests had succeeded at the last of those that failed, the answers 429 apart.
    failed_at: Option<u64>,
}

/// What a request is sent over.
struct Line {
    connection: Result<Connection, TransportError>,
    /// Where there is a limit.
    turn: Option<Turn>,
    /// When it was there, or began to be opened where it could not be.
    since: Instant,
}

/// How a request came out.
enum Settled {
    /// Accepted, but for these.
    Accepted(Vec<(usize, Reason)>),
    /// To be sent again in two halves.
    Split,
    /// Likewise, because it failed while others did not.
    SplitFailed,
    /// The same for all its operations.
    All(Outcome),
}

impl Requests {
    /// Why there are no turns, while there are none.
    pub(super) fn limit_error(&self) -> Option<String> {
        self.limiter.as_ref()?.error()
    }

    pub(super) fn new(parts: EngineParts, stop: CancellationToken) -> Self {
        let EngineParts {
            client,
            limiter,
            metrics,
            clock,
            breaker,
        } = parts;
        Self {
            client,
            limiter,
            metrics,
            clock,
            breaker,
            stop,
        }
    }

    /// A turn, where there is a limit. Meanwhile a connection is opened where none is idle, so that
    /// the turn does not pass while that is done.
    pub(super) async fn turn(&self, wanted: usize) -> Option<Turn> {
        let limiter = self.limiter.as_ref()?;
        self.client.prepare();
        Some(limiter.turn(wanted).await)
    }

    /// Sends `operations` in one request, or in parts where Customer.io wants it so, and tells
    /// each its outcome.
    pub(super) async fn deliver(&self, operations: Vec<Waiting>, mut turn: Option<Turn>) {
        let mut parts = VecDeque::from([Part::new(operations)]);
        while let Some(mut part) = parts.pop_front() {
            match self.settle(&mut part, turn.take()).await {
                Settled::Accepted(rejected) => self.finish_accepted(part.operations, rejected),
                Settled::Split => part.halves(0).for_each(|half| parts.push_front(half)),
                // Each half has failed so often already.
                Settled::SplitFailed => part
                    .halves(retry::MAX_SENDS - 1)
                    .for_each(|half| parts.push_front(half)),
                Settled::All(outcome) => {
                    // What hit this part would hit the rest, which has not been sent: it takes no
                    // blame, and no operation overtakes an earlier one of its user.
                    let rest = matches!(outcome, Outcome::Rejected(_));
                    self.finish_all(part.operations, &outcome);
                    if !rest {
                        parts
                            .drain(..)
                            .for_each(|part| self.finish_all(part.operations, &Outcome::Returned));
                    }
                }
            }
        }
    }

    /// Counts an operation that is not taken in.
    pub(super) fn turned_away(&self, kind: Kind, outcome: &Outcome) {
        self.metrics.job(kind.as_str(), outcome);
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

    async fn settle(&self, part: &mut Part, mut turn: Option<Turn>) -> Settled {
        let call = call_of(&part.operations);
        loop {
            let in_turn = self.unless_broken(part.probe, self.in_turn(turn.take()));
            let Some(line) = in_turn.await else {
                return Settled::All(Outcome::Returned);
            };
            turn = line.turn;
            let sent_at = self.breaker.successes();
            let Some(verdict) = self.send(&call, &part.operations, line).await else {
                continue;
            };
            turn = None;
            self.learn(part, &verdict);
            let (after, throttled, reason) = match verdict {
                Verdict::Accepted { rejected } => return Settled::Accepted(rejected),
                Verdict::Split => return Settled::Split,
                Verdict::Reject(reason) => return Settled::All(Outcome::Rejected(reason)),
                Verdict::Hold(reason) => {
                    let failure = self.failure(part, sent_at);
                    return self.judge(&failure, reason, None);
                }
                Verdict::Fail(reason) => {
                    let failure = self.failure(part, sent_at);
                    let judgement = self.breaker.unexpected(&failure, &reason);
                    return self.sentence(judgement, reason, None);
                }
                Verdict::Retry {
                    after,
                    throttled,
                    reason,
                } => (after, throttled, reason),
            };
            // Where it is the rate that is wrong, that says nothing of the job: no attempt is used.
            let failure = (!throttled).then(|| self.failure(part, sent_at));
            part.sends += 1;
            let pause = self.pause(part, after, throttled);
            match (self.unless_broken(part.probe, pause).await, failure) {
                (None, _) => return Settled::All(Outcome::Returned),
                (Some(true), _) => {}
                (Some(false), None) => return self.aside(after),
                (Some(false), Some(failure)) => return self.judge(&failure, reason, after),
            }
        }
    }

    /// Tells the circuit what an answer says of Customer.io.
    fn learn(&self, part: &mut Part, verdict: &Verdict) {
        match verdict {
            Verdict::Accepted { .. } | Verdict::Split | Verdict::Reject(_) => {
                let users = part.operations.iter().map(|operation| &*operation.user);
                self.breaker.succeeded(users, part.probe);
            }
            Verdict::Retry {
                throttled: true, ..
            } if std::mem::take(&mut part.probe) => self.breaker.throttled(),
            Verdict::Retry { .. } | Verdict::Hold(_) | Verdict::Fail(_) => {}
        }
    }

    fn aside(&self, asked: Option<Duration>) -> Settled {
        Settled::All(Outcome::Held(self.breaker.aside(asked)))
    }

    /// Notes a failure. It becomes the earlier one of the next.
    fn failure(&self, part: &mut Part, sent_at: u64) -> Failure {
        let operations = part.operations.iter();
        Failure {
            items: operations
                .map(|it| (Arc::clone(&it.user), it.order))
                .collect(),
            sent_at,
            failed_at: part.failed_at.replace(self.breaker.successes()),
            probe: part.probe,
        }
    }

    fn judge(&self, failure: &Failure, reason: Reason, asked: Option<Duration>) -> Settled {
        let judgement = self.breaker.failed(failure, &reason, asked);
        self.sentence(judgement, reason, asked)
    }

    fn sentence(&self, judgement: Judgement, reason: Reason, asked: Option<Duration>) -> Settled {
        match judgement {
            Judgement::Blame => Settled::All(Outcome::Failed(reason)),
            Judgement::Split => Settled::SplitFailed,
            Judgement::PutAside => self.aside(asked),
            Judgement::Return => Settled::All(Outcome::Returned),
        }
    }

    /// `None` when everything stops, or nothing is sent any more but the probe.
    async fn unless_broken<F: Future>(&self, probe: bool, work: F) -> Option<F::Output> {
        let broken = async {
            if probe {
                std::future::pending::<()>().await;
            } else {
                self.breaker.broken().await;
            }
        };
        tokio::select! {
            () = broken => None,
            output = self.stop.run_until_cancelled(work) => output,
        }
    }

    /// Waits before the next send; `false` when there is to be none.
    async fn pause(&self, part: &Part, after: Option<Duration>, throttled: bool) -> bool {
        let asked = match &self.limiter {
            // Then everybody waits, this request for its turn.
            Some(limiter) if throttled => {
                limiter.throttled(after).await;
                None
            }
            _ => after,
        };
        match retry::wait(part.sends, asked) {
            Some(wait) if !part.probe => {
                tokio::time::sleep(wait).await;
                true
            }
            _ => false,
        }
    }

    /// Waits for a connection, then for a good turn: what is opened only after the turn has come
    /// would be sent at a moment that is no longer its own.
    async fn in_turn(&self, turn: Option<Turn>) -> Line {
        let line = self.line(turn).await;
        match &line.connection {
            // The wait may have been long. A host that closes the next one too is not waited for.
            Ok(connection) if connection.is_stale() => self.line(line.turn).await,
            _ => line,
        }
    }

    async fn line(&self, turn: Option<Turn>) -> Line {
        let since = Instant::now();
        let connection = self.client.connection().await;
        let turn = match turn {
            Some(turn) if turn.is_good() => Some(turn),
            _ if connection.is_err() => None,
            _ => self.turn(1).await,
        };
        let since = match &connection {
            Ok(_) => Instant::now(),
            Err(_) => since,
        };
        Line {
            connection,
            turn,
            since,
        }
    }

    /// `None` where nothing was sent, because the connection was closed just then: each that had
    /// been idle is met once.
    async fn send(&self, call: &Call, operations: &[Waiting], line: Line) -> Option<Verdict> {
        let waited = line.turn.map_or(Duration::ZERO, |turn| turn.waited);
        let span = spans::request(call, operations.iter().map(|it| &it.span), waited);
        let reply = match line.connection {
            Ok(connection) => self.client.send_over(connection, call).await,
            Err(error) => Err(error),
        };
        spans::finish_request(&span, reply.as_ref());
        if matches!(reply, Err(TransportError::Unsent)) {
            return None;
        }
        self.metrics
            .request(reply.as_ref(), line.since.elapsed(), operations.len());
        let now = self.clock.now();
        Some(decide(operations.len(), reply.as_ref(), now))
    }
}

impl Part {
    fn new(operations: Vec<Waiting>) -> Self {
        Self {
            probe: operations.iter().any(|operation| operation.probe),
            operations,
            sends: 0,
            failed_at: None,
        }
    }

    /// Its second half and its first, each as if it had been sent so often.
    fn halves(mut self, sends: u32) -> impl Iterator<Item = Self> {
        let half = |operations| Self {
            operations,
            probe: self.probe,
            sends,
            failed_at: self.failed_at,
        };
        let second = self.operations.split_off(self.operations.len() / 2);
        [half(second), half(self.operations)].into_iter()
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
