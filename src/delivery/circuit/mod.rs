//! Whether anything can be delivered at all, and whose fault it is where it cannot. Pure.
//!
//! Closed, operations are sent. Open, nothing is. Probing, one operation is, alone and once: it
//! closes the circuit or opens it again for longer. It opens when a request has failed for good
//! and none of another has succeeded since its failure before: then no job is at fault and none
//! uses an attempt. Where another has succeeded between two failures of an operation, the
//! operation is at fault, and it alone: so one that always fails holds up nobody.

mod breaker;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub use self::breaker::{Breaker, Circumstance};

/// Where an operation stands among its user's.
pub(super) type Order = (u64, u64);

/// Users whose failures are remembered; beyond it one is at fault a little later.
const MAX_SUSPECTS: usize = 4_096;
/// Operations that probes pass over because one of the same user has failed: enough to get by a
/// user's whole backlog piece by piece, few enough to be quick.
const MAX_PASSED_OVER: usize = 1_000;

/// Answers in a row that nobody expects (404, say), and no success among them, to operations that were
/// sent alone, after which it is not the jobs: the address is wrong. Until then each costs its job an
/// attempt.
const MAX_UNEXPECTED: u32 = 20;

/// Whether anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// Everything.
    #[default]
    Closed,
    /// Nothing.
    Open,
    /// One operation, to see. `taken` is whether it is under way.
    Probing { taken: bool },
}

/// What is to be done with an operation that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Send it, where it says so in a request of its own.
    Send { alone: bool, probe: bool },
    /// Give it back at once.
    Return,
    /// Put it aside: others are tried first.
    PutAside,
}

/// A request that has failed for good, with all that it was sent again.
#[derive(Debug)]
pub(super) struct Failure {
    /// Whose operations it holds, and where they stand.
    pub(super) items: Vec<(Arc<str>, Order)>,
    /// How many requests had succeeded when it was sent.
    pub(super) sent_at: u64,
    /// How many had at its failure before this one, if there was one.
    pub(super) failed_at: Option<u64>,
    /// Whether it was the probe.
    pub(super) probe: bool,
}

/// Who is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Its only operation.
    Blame,
    /// One of its operations.
    Split,
    /// Not its operation, as far as is known; others are tried first.
    PutAside,
    /// None of its operations.
    Return,
}

/// The state, fed with what came of requests.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    phase: Phase,
    /// How often it has opened since it was last closed.
    opened: u32,
    /// Requests that have succeeded.
    successes: u64,
    /// Users whose operations have failed alone, or in a batch that may hold a bad one, and how many requests had
    /// succeeded then. Until they succeed they go alone.
    suspects: HashMap<Arc<str>, u64>,
    /// Whose probe has failed, and which of their operations it was.
    failed_probes: HashMap<Arc<str>, Order>,
    /// Operations that were put aside for it, each once: where no other worker sends, the only one
    /// that is left must be tried some time.
    passed_over: HashSet<(Arc<str>, Order)>,
    /// Whether a batch has opened it, and none has succeeded since: if one opens it again, then
    /// perhaps because of one of its operations.
    opened_by_batch: bool,
    /// Answers that nobody expects, to one operation each, since the last success.
    unexpected: u32,
}

impl Circuit {
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn opened(&self) -> u32 {
        self.opened
    }

    pub(super) fn successes(&self) -> u64 {
        self.successes
    }

    /// Decides about an operation that comes in.
    pub(super) fn admit(&mut self, user: &str, order: Order) -> Admission {
        match self.phase {
            Phase::Closed => Admission::Send {
                alone: self.suspects.contains_key(user),
                probe: false,
            },
            Phase::Open | Phase::Probing { taken: true } => Admission::Return,
            Phase::Probing { taken: false } => {
                let sibling = self.failed_probes.get(user).is_some_and(|it| *it != order);
                if sibling && self.passed_over.len() < MAX_PASSED_OVER {
                    // By the time it comes again, so has the one that failed, to whoever took it.
                    if self.passed_over.insert((Arc::from(user), order)) {
                        return Admission::PutAside;
                    }
                }
                self.phase = Phase::Probing { taken: true };
                Admission::Send {
                    alone: true,
                    probe: true,
                }
            }
        }
    }

    /// The wait is over: the next operation shows whether it can be delivered.
    pub(super) fn probe(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Probing { taken: false };
            if self.passed_over.len() >= MAX_PASSED_OVER {
                self.passed_over.clear();
            }
        }
    }

    /// The probe was not sent.
    pub(super) fn not_probed(&mut self) {
        if self.phase == (Phase::Probing { taken: true }) {
            self.phase = Phase::Probing { taken: false };
        }
    }

    /// A request with operations of these users was answered as it should be. What was sent before
    /// the circuit opened says nothing of now.
    pub(super) fn succeeded<'a>(
        &mut self,
        users: impl ExactSizeIterator<Item = &'a str>,
        probe: bool,
    ) {
        self.successes += 1;
        self.unexpected = 0;
        if users.len() > 1 {
            self.opened_by_batch = false;
        }
        if !self.suspects.is_empty() {
            users.for_each(|user| {
                self.suspects.remove(user);
            });
        }
        if probe {
            self.close();
        }
    }

    /// Customer.io is there.
    pub(super) fn close(&mut self) {
        self.phase = Phase::Closed;
        self.opened = 0;
        self.unexpected = 0;
        self.failed_probes.clear();
        self.passed_over.clear();
    }

    /// Nothing is sent until [`probe`](Self::probe).
    pub(super) fn open(&mut self) {
        self.phase = Phase::Open;
        self.opened += 1;
    }

    /// A request was answered as nobody expects: that of a probe says that nothing can be delivered
    /// yet, and so do many others in a row, of one operation each.
    pub(super) fn unexpected(&mut self, failure: &Failure) -> Judgement {
        if failure.probe {
            self.open();
            self.remember_probe(failure);
            return Judgement::PutAside;
        }
        if self.phase != Phase::Closed {
            return Judgement::Return;
        }
        if failure.items.len() > 1 {
            return Judgement::Split;
        }
        self.suspect(failure);
        self.unexpected += 1;
        if self.unexpected >= MAX_UNEXPECTED {
            self.open();
        }
        Judgement::Blame
    }

    /// Decides who is at fault for a failure, and opens where it is none of the operations.
    pub(super) fn failed(&mut self, failure: &Failure) -> Judgement {
        if failure.probe {
            self.open();
            self.remember_probe(failure);
            self.suspect(failure);
            return Judgement::PutAside;
        }
        if self.phase != Phase::Closed {
            return Judgement::Return;
        }
        let alone = match failure.items.as_slice() {
            [(user, _)] => Some(user),
            _ => None,
        };
        let remembered = alone.and_then(|user| self.suspects.get(user).copied());
        let before = remembered.or(failure.failed_at);
        let others = self.successes > before.unwrap_or(failure.sent_at);
        let judgement = match (alone.is_some(), others) {
            (true, true) if before.is_some() => Judgement::Blame,
            (true, _) => Judgement::PutAside,
            (false, true) => Judgement::Split,
            (false, false) => Judgement::Return,
        };
        let suspicious = match judgement {
            Judgement::Blame | Judgement::PutAside => true,
            Judgement::Return => std::mem::replace(&mut self.opened_by_batch, true),
            Judgement::Split => false,
        };
        if suspicious {
            self.suspect(failure);
        }
        if !others {
            self.open();
        }
        judgement
    }

    fn remember_probe(&mut self, failure: &Failure) {
        for (user, order) in &failure.items {
            if self.failed_probes.len() < MAX_SUSPECTS {
                self.failed_probes.insert(Arc::clone(user), *order);
            }
        }
    }

    fn suspect(&mut self, failure: &Failure) {
        let users: HashSet<_> = failure.items.iter().map(|(user, _)| user).collect();
        for user in users {
            if self.suspects.len() >= MAX_SUSPECTS && !self.suspects.contains_key(user) {
                self.forget_oldest();
            }
            self.suspects.insert(Arc::clone(user), self.successes);
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.suspects.iter().min_by_key(|(_, at)| **at);
        if let Some(user) = oldest.map(|(user, _)| Arc::clone(user)) {
            self.suspects.remove(&user);
        }
    }
}

#[cfg(test)]
mod tests;
