//! The circuit as senders and takers of jobs share it: who waits, for how long, what is said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Admission, Circuit, Failure, Judgement, Order, Phase};
use crate::delivery::metrics::CircuitMetrics;
use crate::delivery::reason::Reason;
use crate::runtime::backoff::Backoff;

/// The first wait before a probe is this part of the longest.
const FIRST_WAIT: u32 = 30;
/// A longer Retry-After is not sat out.
const MAX_ASKED: Duration = Duration::from_mins(2);

/// What whoever takes jobs needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Circumstance {
    /// Jobs can be delivered.
    #[default]
    Deliverable,
    /// They cannot: take none for so long, then call [`Breaker::probe`].
    Down(Duration),
    /// Take one at a time, to see.
    Probing,
}

/// The shared circuit, cheap to clone.
#[derive(Debug, Clone)]
pub struct Breaker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backoff: Backoff,
    metrics: CircuitMetrics,
    state: Mutex<State>,
    said: watch::Sender<Circumstance>,
}

#[derive(Debug)]
struct State {
    circuit: Circuit,
    /// How long the circuit was opened for the last time, and why.
    wait: Duration,
    cause: Option<Reason>,
}

impl Breaker {
    /// A closed one, which waits up to `longest` before a probe, and shows in `metrics` whether it
    /// is open, and why.
    pub fn new(longest: Duration, metrics: CircuitMetrics) -> Self {
        let backoff = Backoff {
            first: longest / FIRST_WAIT,
            most: longest,
        };
        let state = State {
            circuit: Circuit::default(),
            wait: backoff.first,
            cause: None,
        };
        let inner = Inner {
            backoff,
            metrics,
            state: Mutex::new(state),
            said: watch::Sender::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// What is so, and what becomes so.
    pub fn circumstance(&self) -> watch::Receiver<Circumstance> {
        self.inner.said.subscribe()
    }

    /// Why nothing could be delivered when that was last so.
    pub fn cause(&self) -> Option<Reason> {
        self.state().cause.clone()
    }

    /// From now on one job shows whether it can be delivered.
    pub fn probe(&self) {
        self.change(|state| state.circuit.probe());
    }

    pub(in crate::delivery) fn admit(&self, user: &str, order: Order) -> Admission {
        self.state().circuit.admit(user, order)
    }

    pub(in crate::delivery) fn is_open(&self) -> bool {
        self.state().circuit.phase() == Phase::Open
    }

    pub(in crate::delivery) fn successes(&self) -> u64 {
        self.state().circuit.successes()
    }

    pub(in crate::delivery) fn not_probed(&self) {
        self.state().circuit.not_probed();
    }

    pub(in crate::delivery) fn succeeded<'a>(
        &self,
        users: impl ExactSizeIterator<Item = &'a str>,
        probe: bool,
    ) {
        self.inner.metrics.answered();
        self.change(|state| state.circuit.succeeded(users, probe));
    }

    /// The probe was told to slow down: Customer.io is there.
    pub(in crate::delivery) fn throttled(&self) {
        self.inner.metrics.answered();
        self.change(|state| state.circuit.close());
    }

    /// Who is at fault for `failure`, which was answered as nobody expects.
    pub(in crate::delivery) fn unexpected(&self, failure: &Failure, reason: &Reason) -> Judgement {
        self.opening(reason, None, |circuit| circuit.unexpected(failure))
    }

    /// Who is at fault for `failure`. `asked` is what the answer asks to wait.
    pub(in crate::delivery) fn failed(
        &self,
        failure: &Failure,
        reason: &Reason,
        asked: Option<Duration>,
    ) -> Judgement {
        self.opening(reason, asked, |circuit| circuit.failed(failure))
    }

    /// What may open the circuit, for `reason`.
    fn opening<T>(
        &self,
        reason: &Reason,
        asked: Option<Duration>,
        change: impl FnOnce(&mut Circuit) -> T,
    ) -> T {
        self.change(|state| {
            let before = state.circuit.opened();
            let answer = change(&mut state.circuit);
            if state.circuit.opened() > before {
                self.opened(state, reason, asked);
            }
            answer
        })
    }

    /// How long an operation that is put aside stays there: until after the next probe, and no
    /// less than the answer asks for.
    pub(in crate::delivery) fn aside(&self, asked: Option<Duration>) -> Duration {
        let asked = asked.unwrap_or_default().min(MAX_ASKED);
        self.state().wait.max(asked).mul_f64(1.25)
    }

    /// Waits until the circuit is not closed.
    pub(in crate::delivery) async fn broken(&self) {
        let mut said = self.circumstance();
        // The sender lives as long as `self`.
        said.wait_for(|it| *it != Circumstance::Deliverable)
            .await
            .ok();
    }

    fn opened(&self, state: &mut State, reason: &Reason, asked: Option<Duration>) {
        let asked = asked.unwrap_or_default().min(MAX_ASKED);
        let wait = self.inner.backoff.delay(state.circuit.opened()).max(asked);
        state.wait = wait;
        self.inner.metrics.opened(reason.class);
        state.cause = Some(reason.clone());
        if state.circuit.opened() == 1 {
            say_open(reason);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let answer = change(&mut state);
        let now = match state.circuit.phase() {
            Phase::Closed => Circumstance::Deliverable,
            Phase::Open => Circumstance::Down(state.wait),
            Phase::Probing { .. } => Circumstance::Probing,
        };
        // Under the lock, so that the last word is the newest.
        let before = *self.inner.said.borrow();
        if now != before {
            self.inner.said.send_replace(now);
            if now == Circumstance::Deliverable {
                // The next outage has a length of its own.
                state.wait = self.inner.backoff.first;
                self.inner.metrics.closed();
                tracing::info!("Customer.io takes requests again; jobs are taken");
            }
        }
        answer
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn say_open(reason: &Reason) {
    let what = match reason.class {
        "unauthorized" | "redirected" => {
            "Customer.io refuses this workspace's requests; no jobs are taken until it does not: \
             check CUSTOMERIO_SITE_ID, CUSTOMERIO_TRACK_API_KEY and CUSTOMERIO_REGION"
        }
        "unexpected" => {
            "what answers is not Customer.io's Track API; no jobs are taken until it is: check \
             CUSTOMERIO_TRACK_URL (spec.workspace.endpoint)"
        }
        "transport" => {
            "Customer.io cannot be reached; no jobs are taken until it can, which is tried now and \
             then: if it lasts, check DNS, egress and proxies"
        }
        _ => "Customer.io is down; no jobs are taken until it is back, which is tried now and then",
    };
    tracing::error!(
        outcome.class = reason.class,
        outcome.status = reason.status,
        "{what}"
    );
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::runtime::clock::Clock;

    fn failure(probe: bool) -> Failure {
        Failure {
            items: vec![(Arc::from("u"), (0, 0))],
            sent_at: 0,
            failed_at: None,
            probe,
        }
    }

    #[test]
    fn it_waits_as_long_as_the_answer_asks_and_shows_whether_it_is_open() {
        let metrics = CircuitMetrics::new(&Registry::new(), Clock::system()).unwrap();
        let breaker = Breaker::new(Duration::from_secs(30), metrics.clone());
        let reason = Reason::new("unavailable", "down");
        let circumstance = breaker.circumstance();
        let asked = Duration::from_secs(40);

        breaker.failed(&failure(false), &reason, Some(asked));
        assert_eq!(*circumstance.borrow(), Circumstance::Down(asked));
        assert_eq!(
            (metrics.is_open("unavailable"), breaker.is_open()),
            (true, true)
        );
        assert_eq!(breaker.cause(), Some(reason.clone()));
        assert_eq!(breaker.aside(None), Duration::from_secs(50));
        breaker.probe();
        assert_eq!(*circumstance.borrow(), Circumstance::Probing);
        assert_eq!(
            (metrics.is_open("unavailable"), breaker.is_open()),
            (true, false)
        );
        breaker.failed(&failure(true), &reason, Some(MAX_ASKED * 2));
        assert_eq!(*circumstance.borrow(), Circumstance::Down(MAX_ASKED));
        breaker.probe();
        breaker.succeeded(["u"].into_iter(), true);
        assert_eq!(*circumstance.borrow(), Circumstance::Deliverable);
        assert!(!metrics.is_open("unavailable"));
        assert_eq!(breaker.aside(None), Duration::from_millis(1250));
    }
}
