//! Everything the workspace is. The locks are held for moments, and never over an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::Registry;
use serde::Serialize;
use tokio::time::Instant;

use super::faults::{Faults, Rule};
use super::metrics::Metrics;
use super::operation::Operation;
use super::store::{Store, StoreState};
use super::traffic::{Traffic, TrafficState};
use super::{Options, SimulatorError};
use crate::runtime::clock::Clock;

/// One workspace.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) options: Options,
    pub(super) metrics: Metrics,
    clock: Clock,
    started: Instant,
    store: Mutex<Store>,
    traffic: Mutex<Traffic>,
    faults: Mutex<Faults>,
}

/// What `/_sim/state` shows.
#[derive(Debug, Serialize)]
pub(super) struct State {
    #[serde(flatten)]
    pub(super) store: StoreState,
    #[serde(flatten)]
    pub(super) traffic: TrafficState,
}

impl Workspace {
    pub(super) fn new(
        mut options: Options,
        clock: Clock,
        registry: &Registry,
    ) -> Result<Self, SimulatorError> {
        let mut faults = Faults::default();
        faults.replace(std::mem::take(&mut options.faults))?;
        Ok(Self {
            metrics: Metrics::new(registry)?,
            store: Mutex::new(Store::new(options.keep_events)),
            traffic: Mutex::default(),
            faults: Mutex::new(faults),
            started: Instant::now(),
            options,
            clock,
        })
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The traffic, and the microseconds since the start. Time is read under the lock: it never runs
    /// backwards from one request to the next.
    pub(super) fn traffic(&self) -> (MutexGuard<'_, Traffic>, u64) {
        let traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.started.elapsed().as_micros();
        (traffic, u64::try_from(now).unwrap_or(u64::MAX))
    }

    /// The fault that spoils a request, if any does.
    pub(super) fn fault(&self, method: &str, path: &str) -> Option<Rule> {
        let rule = self.faults().hit(method, path, Instant::now());
        if rule.is_some() {
            self.metrics.faulted();
        }
        rule
    }

    /// Whether a request of this site is within its limit.
    pub(super) fn within_limit(&self, site: &str) -> bool {
        let Some(limit) = self.options.requests_per_second else {
            return true;
        };
        let (mut traffic, now) = self.traffic();
        let within = traffic.within_limit(site, limit, now);
        drop(traffic);
        if !within {
            self.metrics.throttled();
        }
        within
    }

    /// A request was answered as if it had been taken, and was not.
    pub(super) fn lose(&self) {
        self.store().lose();
    }

    /// Stores what a request holds: all of it under one lock, in its order; and counts what was
    /// refused of it.
    pub(super) fn take(&self, operations: Vec<Operation>, refused: usize) {
        let now = self.clock.now().as_second();
        let mut store = self.store();
        for operation in operations {
            let kind = operation.kind();
            let outcome = store.apply(operation, now);
            self.metrics.operation(kind, outcome);
        }
        store.refuse(refused);
        self.metrics.people(store.people());
        drop(store);
        self.metrics.refused(refused);
    }

    pub(super) fn state(&self) -> State {
        // A lock at a time, for the moment of a copy: the JSON is made without one.
        let store = self.store().state();
        let traffic = self.traffic().0.state();
        State { store, traffic }
    }

    /// Forgets everything but the faults and the settings.
    pub(super) fn reset(&self) {
        *self.store() = Store::new(self.options.keep_events);
        *self.traffic().0 = Traffic::default();
        self.metrics.people(0);
    }
}
