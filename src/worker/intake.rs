//! How many jobs are taken at once: fewer while many bytes are held, none while nothing can be
//! delivered, one to find out whether it can again.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use bullmq::Worker;
use prometheus::IntGauge;

use crate::delivery::circuit::Circumstance;

/// Decides how many jobs BullMQ's loop takes.
#[derive(Debug)]
pub(super) struct Intake {
    jobs: usize,
    max_bytes: usize,
    gauge: IntGauge,
    worker: OnceLock<Tap>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    circumstance: Circumstance,
}

/// The worker's controls. Weak: the worker holds the processor, which holds the intake.
struct Tap(Weak<Worker>);

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

/// Bytes that are held; given back when dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    intake: &'a Intake,
    bytes: usize,
}

impl Intake {
    /// At most `jobs` at once, and no new ones from `max_bytes` bytes on.
    pub(super) fn new(jobs: usize, max_bytes: usize, gauge: IntGauge) -> Self {
        Self {
            jobs,
            max_bytes,
            gauge,
            worker: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// From now on it controls `worker`.
    pub(super) fn control(&self, worker: &Arc<Worker>) {
        // There is one worker in a process' life.
        self.worker.set(Tap(Arc::downgrade(worker))).ok();
    }

    /// Takes in a job of `bytes` bytes.
    pub(super) fn hold(&self, bytes: usize) -> Held<'_> {
        let mut state = self.state();
        state.bytes += bytes;
        self.adjust(&state);
        Held {
            intake: self,
            bytes,
        }
    }

    /// Takes as many jobs as the circumstance allows.
    pub(super) fn allow(&self, circumstance: Circumstance) {
        let mut state = self.state();
        state.circumstance = circumstance;
        self.adjust(&state);
        self.with_worker(match circumstance {
            Circumstance::Down(_) => Worker::pause,
            Circumstance::Deliverable | Circumstance::Probing => Worker::resume,
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called under the lock, so that the last word is the newest.
    fn adjust(&self, state: &State) {
        self.gauge.set(state.bytes.try_into().unwrap_or(i64::MAX));
        let all = state.circumstance == Circumstance::Deliverable;
        let few = !all || state.bytes >= self.max_bytes;
        // BullMQ's loop knows no 0: it takes a next job when none is left.
        self.with_worker(|worker| {
            let jobs = if few { 1 } else { self.jobs };
            if worker.concurrency() != jobs {
                worker.set_concurrency(jobs);
            }
        });
    }

    fn with_worker(&self, act: impl FnOnce(&Worker)) {
        if let Some(worker) = self.worker.get().and_then(|tap| tap.0.upgrade()) {
            act(&worker);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.intake.state();
        state.bytes -= self.bytes;
        self.intake.adjust(&state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intake() -> Intake {
        Intake::new(10, 100, IntGauge::new("bytes", "bytes").unwrap())
    }

    #[test]
    fn what_is_held_is_known_and_given_back() {
        let intake = intake();
        let first = intake.hold(60);
        let second = intake.hold(60);
        assert_eq!(intake.gauge.get(), 120);
        drop(first);
        drop(second);
        assert_eq!(intake.gauge.get(), 0);
    }
}
