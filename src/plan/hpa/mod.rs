//! The HPA's algorithm, one sync at a time.
//!
//! A model of Kubernetes 1.37's `pkg/controller/podautoscaler` (`horizontal.go`, `replica_calculator.go`)
//! for the HPA that the operator makes: CPU utilization and queue depth, the larger proposal holds.
//! `tests/hpa` records what the real controller does; a test compares this with it, sync by sync.

mod proposal;
mod rules;

use std::cmp::Ordering;
use std::time::Duration;

pub use rules::{PolicyKind, Rules, Select};

use crate::api::pipeline::Autoscaling;
use crate::api::{CioPipelineSpec, MetricSource};
use rules::Events;

/// How often the controller-manager looks at an HPA, unless it is told otherwise.
pub const SYNC_PERIOD: Duration = Duration::from_secs(15);

/// What an HPA is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoscaler {
    /// Pods that are always there.
    pub min_replicas: i32,
    /// Pods that are never exceeded.
    pub max_replicas: i32,
    /// The average CPU use in percent of the requests.
    pub cpu_utilization: i64,
    /// Jobs a pod should have to itself.
    pub queue_depth: i64,
    /// Whether the HPA divides the depth itself (External) or each pod has its share (Pods).
    pub external: bool,
    /// How pods are added.
    pub up: Rules,
    /// How pods are removed.
    pub down: Rules,
}

impl Autoscaler {
    /// The HPA that the operator makes of this spec.
    pub fn of(spec: &CioPipelineSpec) -> Self {
        Self::of_autoscaling(&spec.autoscaling)
    }

    fn of_autoscaling(spec: &Autoscaling) -> Self {
        Self {
            min_replicas: spec.min_replicas,
            max_replicas: spec.max_replicas,
            cpu_utilization: spec.cpu_utilization.into(),
            queue_depth: spec.queue_depth.into(),
            external: spec.metric_source == MetricSource::External,
            up: Rules::up(spec.behavior.scale_up.as_ref()),
            down: Rules::down(spec.behavior.scale_down.as_ref()),
        }
    }
}

/// What the controller sees at one sync. What cannot be read is `None`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Pods that run.
    pub running: i32,
    /// Pods that are there and do not run yet.
    pub pending: i32,
    /// Jobs in the whole queue.
    pub depth: Option<i64>,
    /// The running pods' average CPU use, in percent of the requests.
    pub cpu_percent: Option<i64>,
}

/// What the controller remembers between syncs.
#[derive(Debug, Clone, Default)]
pub struct State {
    recommendations: Vec<(Duration, i32)>,
    added: Events,
    removed: Events,
}

impl State {
    /// One sync at `now` (since any fixed moment) with `current` pods wanted so far: the pods wanted
    /// from here on.
    pub fn step(&mut self, hpa: &Autoscaler, current: i32, reading: Reading, now: Duration) -> i32 {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
        let wanted = match current {
            // Somebody stopped it: not the HPA's to start.
            0 => return 0,
            // Corrections of the bounds wait for nothing.
            _ if current > hpa.max_replicas => hpa.max_replicas,
            _ if current < hpa.min_replicas => hpa.min_replicas,
            _ => match proposal::largest(hpa, current, reading) {
                None => return current,
                Some(proposed) => {
                    let stable = self.stabilize(hpa, current, proposed, now);
                    self.limit(hpa, current, stable, now)
                }
            },
        };
        match wanted - current {
            0 => {}
            added @ 1.. => self.added.store(now, added, hpa.up.longest_period()),
            removed => self.removed.store(now, -removed, hpa.down.longest_period()),
        }
        wanted
    }

    /// Up to the lowest recommendation of the window for adding, down to the highest of the one for
    /// removing; remembers this one.
    fn stabilize(&mut self, hpa: &Autoscaler, current: i32, proposed: i32, now: Duration) -> i32 {
        let within = |window: Duration| {
            let young = move |(at, _): &&(Duration, i32)| now.saturating_sub(*at) < window;
            self.recommendations
                .iter()
                .filter(young)
                .map(|(_, replicas)| *replicas)
        };
        let lowest = within(hpa.up.window).fold(proposed, i32::min);
        let highest = within(hpa.down.window).fold(proposed, i32::max);
        let longest = hpa.up.window.max(hpa.down.window);
        self.recommendations
            .retain(|(at, _)| now.saturating_sub(*at) <= longest);
        self.recommendations.push((now, proposed));
        // Not clamp: the lowest may be above the highest.
        current.max(lowest).min(highest)
    }

    /// No faster than the policies allow, and within the bounds.
    fn limit(&self, hpa: &Autoscaler, current: i32, stable: i32, now: Duration) -> i32 {
        let change = |period| {
            (
                self.added.within(now, period),
                self.removed.within(now, period),
            )
        };
        match stable.cmp(&current) {
            Ordering::Greater => {
                let most = hpa.up.limit_up(current, change).max(current);
                stable.min(most.min(hpa.max_replicas))
            }
            Ordering::Less => {
                let least = hpa.down.limit_down(current, change).min(current);
                stable.max(least.max(hpa.min_replicas))
            }
            Ordering::Equal => stable,
        }
    }
}

#[cfg(test)]
mod tests;
