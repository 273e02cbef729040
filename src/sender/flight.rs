//! Operations under way: submitted, waiting to be tried again, or given back.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::feed::Fed;
use crate::delivery::circuit::{Breaker, Circumstance};
use crate::delivery::encode::Prepared;
use crate::delivery::engine::{Engine, Submitted};
use crate::delivery::outcome::Outcome;
use crate::delivery::reason::Reason;
use crate::runtime::backoff::Backoff;

/// Attempts at one operation, each of several requests: as many as the guide's jobs have.
const ATTEMPTS: u32 = 5;
/// Between them.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(2),
    most: Duration::from_secs(30),
};

/// An operation and its attempts that failed.
#[derive(Debug)]
pub(super) struct Flying {
    pub(super) fed: Fed<Prepared>,
    attempts: u32,
}

/// What became of an operation.
#[derive(Debug)]
pub(super) enum Landed {
    /// Customer.io has it.
    Delivered(Fed<Prepared>),
    /// It is given up.
    Failed(Fed<Prepared>, Reason),
}

/// Where a flight is.
#[derive(Debug)]
pub(super) struct Flight {
    engine: Engine,
    breaker: Breaker,
    circumstance: watch::Receiver<Circumstance>,
    /// Until when nothing is sent.
    down_until: Option<Instant>,
    /// By number: what is given back goes in the order of the file.
    ready: BTreeMap<u64, Flying>,
    submitted: FuturesUnordered<Settling>,
    paused: FuturesUnordered<Pausing>,
}

type Settling = futures::future::BoxFuture<'static, (Flying, Outcome)>;
type Pausing = futures::future::BoxFuture<'static, Flying>;

impl Flight {
    pub(super) fn new(engine: Engine, breaker: Breaker) -> Self {
        Self {
            engine,
            circumstance: breaker.circumstance(),
            breaker,
            down_until: None,
            ready: BTreeMap::new(),
            submitted: FuturesUnordered::new(),
            paused: FuturesUnordered::new(),
        }
    }

    /// Takes in an operation.
    pub(super) fn add(&mut self, fed: Fed<Prepared>) {
        let flying = Flying { fed, attempts: 0 };
        self.ready.insert(flying.fed.number, flying);
        self.submit();
    }

    /// Whether another operation would be sent at once.
    pub(super) fn has_room(&self) -> bool {
        self.ready.is_empty() && self.may_submit()
    }

    /// Whether all have landed.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.submitted.is_empty() && self.paused.is_empty()
    }

    /// Waits until something changes; what landed, if that is it.
    pub(super) async fn next(&mut self) -> Option<Landed> {
        let down_until = self.down_until;
        let over = async {
            match down_until {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let landed = tokio::select! {
            biased;
            Some((flying, outcome)) = self.submitted.next() => self.settled(flying, outcome),
            Some(flying) = self.paused.next() => {
                self.ready.insert(flying.fed.number, flying);
                None
            }
            // The breaker, which is ours, is what says it.
            Ok(()) = self.circumstance.changed() => {
                self.down_until = match *self.circumstance.borrow_and_update() {
                    Circumstance::Down(wait) => Some(Instant::now() + wait),
                    _ => None,
                };
                None
            }
            () = over => {
                self.down_until = None;
                self.breaker.probe();
                None
            }
        };
        self.submit();
        landed
    }

    /// After the engine was told to stop: waits for the requests in flight, and says which
    /// operations they delivered.
    pub(super) async fn land(mut self) -> Vec<Landed> {
        let mut landed = Vec::new();
        while let Some((flying, outcome)) = self.submitted.next().await {
            match outcome {
                Outcome::Delivered => landed.push(Landed::Delivered(flying.fed)),
                Outcome::Rejected(reason) => landed.push(Landed::Failed(flying.fed, reason)),
                Outcome::Failed(_) | Outcome::Held(_) | Outcome::Returned => {}
            }
        }
        landed
    }

    fn may_submit(&self) -> bool {
        match *self.circumstance.borrow() {
            Circumstance::Deliverable => true,
            Circumstance::Probing => self.submitted.is_empty(),
            Circumstance::Down(_) => false,
        }
    }

    fn submit(&mut self) {
        while self.may_submit() {
            let Some((number, flying)) = self.ready.pop_first() else {
                return;
            };
            let operation = flying.fed.item.clone();
            let submitted = self.engine.submit(operation, (number, 0));
            self.submitted.push(Box::pin(settle(flying, submitted)));
        }
    }

    fn settled(&mut self, flying: Flying, outcome: Outcome) -> Option<Landed> {
        match outcome {
            Outcome::Delivered => Some(Landed::Delivered(flying.fed)),
            Outcome::Rejected(reason) => Some(Landed::Failed(flying.fed, reason)),
            Outcome::Failed(reason) => self.again(flying, reason),
            Outcome::Held(pause) => self.put_aside(flying, pause),
            Outcome::Returned => self.give_back(flying),
        }
    }

    fn give_back(&mut self, flying: Flying) -> Option<Landed> {
        self.ready.insert(flying.fed.number, flying);
        None
    }

    /// It was not its fault: no attempt is counted.
    fn put_aside(&mut self, flying: Flying, pause: Duration) -> Option<Landed> {
        self.paused.push(Box::pin(async move {
            sleep(pause).await;
            flying
        }));
        None
    }

    fn again(&mut self, mut flying: Flying, reason: Reason) -> Option<Landed> {
        flying.attempts += 1;
        if flying.attempts >= ATTEMPTS {
            return Some(Landed::Failed(flying.fed, reason));
        }
        let pause = BACKOFF.delay(flying.attempts);
        self.put_aside(flying, pause)
    }
}

async fn settle(flying: Flying, submitted: Submitted) -> (Flying, Outcome) {
    let outcome = submitted.outcome().await;
    (flying, outcome)
}
