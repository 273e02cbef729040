//! The queue and the HPA over time: arrivals come, pods deliver, the HPA looks every 15 seconds.

use std::time::Duration;

use serde::Serialize;

use super::capacity::{Pace, Volume};
use super::hpa::{Autoscaler, Reading, SYNC_PERIOD, State};
use super::profile::Profile;

/// Cores that 100 % of CPU use stands for: the default requests of worker and sidecar.
const CPU_REQUEST: f64 = 0.11;

/// What is forecast.
#[derive(Debug, Clone)]
pub struct Question {
    /// What arrives in the one queue.
    pub arrivals: Profile,
    /// Those that there are.
    pub queues: Queues,
    /// What is in the queue at the start.
    pub initial_depth: f64,
    /// How long.
    pub length: Duration,
    /// What an event is.
    pub volume: Volume,
    /// How the pods deliver.
    pub pace: Pace,
    /// What adds and removes pods.
    pub hpa: Autoscaler,
    /// From an added pod to a running one.
    pub pod_start: Duration,
    /// How old the depth is that the HPA gets.
    pub depth_age: Duration,
    /// CPU that an event costs its pod.
    pub cpu_seconds_per_event: f64,
}

/// Queues, each with a pipeline of its own; one of them is forecast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queues {
    /// How many there are.
    pub all: u64,
    /// How many share a workspace's limit.
    pub of_a_workspace: u64,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            all: 1,
            of_a_workspace: 1,
        }
    }
}

/// One sync of the HPA.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    /// Seconds since the start.
    pub second: u64,
    /// What arrives.
    pub arrivals_per_second: f64,
    /// What was delivered in the second before.
    pub delivered_per_second: f64,
    /// Jobs in the queue.
    pub depth: u64,
    /// Pods that run.
    pub running: i32,
    /// Pods wanted from here on.
    pub replicas: i32,
}

/// A queue, its pods, and what of the past still matters.
struct Scene<'a> {
    question: &'a Question,
    depth: f64,
    /// The depth at the end of each past second.
    depths: Vec<f64>,
    /// From when on each pod runs.
    pods: Vec<u64>,
    delivered: f64,
    hpa: State,
}

/// Every sync from 0 to the end.
pub fn forecast(question: &Question) -> Vec<Tick> {
    let first = usize::try_from(question.hpa.min_replicas).unwrap_or_default();
    let mut scene = Scene {
        question,
        depth: question.initial_depth,
        depths: Vec::new(),
        pods: vec![0; first],
        delivered: 0.0,
        hpa: State::default(),
    };
    let mut ticks = Vec::new();
    for second in 0..=question.length.as_secs() {
        if second % SYNC_PERIOD.as_secs() == 0 {
            ticks.push(scene.sync(second));
        }
        scene.pass(second);
    }
    ticks
}

impl Scene<'_> {
    /// The pods of the start run already; another one does once its time is over.
    fn running(&self, second: u64) -> i32 {
        let runs = |from: &&u64| second >= **from;
        pods(self.pods.iter().filter(runs).count())
    }

    /// One second of arrivals and deliveries.
    fn pass(&mut self, second: u64) {
        let question = self.question;
        let running = self.running(second).unsigned_abs();
        let sharing = question.queues.of_a_workspace;
        let capacity = question.pace.events_of(running, &question.volume, sharing);
        self.depth += question.arrivals.at(float(second));
        self.delivered = capacity.min(self.depth);
        self.depth -= self.delivered;
        self.depths.push(self.depth);
    }

    /// One look of the HPA, and what the Deployment makes of it.
    fn sync(&mut self, second: u64) -> Tick {
        let (current, running) = (pods(self.pods.len()), self.running(second));
        let reading = Reading {
            running,
            pending: current - running,
            depth: Some(whole(self.seen(second))),
            cpu_percent: Some(self.cpu_percent(running)),
        };
        let now = Duration::from_secs(second);
        let replicas = self.hpa.step(&self.question.hpa, current, reading, now);
        // The youngest go first, and those that do not run yet before them.
        let wanted = usize::try_from(replicas).unwrap_or_default();
        let runs_from = second + self.question.pod_start.as_secs();
        self.pods.resize(wanted, runs_from);
        Tick {
            second,
            arrivals_per_second: self.question.arrivals.at(float(second)),
            delivered_per_second: self.delivered,
            depth: whole(self.depth).unsigned_abs(),
            running,
            replicas,
        }
    }

    /// The depth as it was when it was read.
    fn seen(&self, second: u64) -> f64 {
        let at = second.checked_sub(self.question.depth_age.as_secs() + 1);
        let at = at.and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.depths.get(at).copied())
            .unwrap_or(self.question.initial_depth)
    }

    fn cpu_percent(&self, running: i32) -> i64 {
        let cores = self.delivered * self.question.cpu_seconds_per_event;
        let of_each = cores / f64::from(running.max(1));
        whole(of_each / CPU_REQUEST * 100.0)
    }
}

fn pods(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "jobs or percent, of which the HPA sees whole ones"
)]
fn whole(value: f64) -> i64 {
    value as i64
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a few hours")]
fn float(second: u64) -> f64 {
    second as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api;
    use crate::plan::profile::Profile;

    fn question(arrivals: &str, initial_depth: f64) -> Question {
        let pipeline = api::parse(
            "{apiVersion: cio.dev/v1alpha1, kind: CioPipeline, metadata: {name: e}, \
             spec: {delivery: {mode: Single}, queue: {redis: {url: 'redis://r'}}}}",
        )
        .unwrap();
        Question {
            arrivals: Profile::parse(arrivals).unwrap(),
            queues: Queues::default(),
            initial_depth,
            length: Duration::from_mins(30),
            volume: Volume {
                events_per_day: 0,
                peak_factor: 1.0,
                payload_bytes: 250,
                latency_ms: 1_000.0,
            },
            pace: Pace::of(&pipeline.spec),
            hpa: Autoscaler::of(&pipeline.spec),
            pod_start: Duration::from_secs(5),
            depth_age: Duration::from_secs(5),
            cpu_seconds_per_event: 0.0,
        }
    }

    #[test]
    fn what_arrives_is_delivered_or_waits() {
        // 2 pods with 10 requests of a second each in flight: 20/s, of 15 that arrive.
        let ticks = forecast(&question("0 15", 100.0));
        assert_eq!((ticks[0].depth, ticks[1].depth), (100, 25));
        assert!(ticks[2..].iter().all(|tick| tick.depth == 0));
        assert!(ticks.iter().all(|tick| tick.replicas == 2));
        assert_eq!(ticks.len(), 30 * 4 + 1);
    }

    #[test]
    fn a_backlog_brings_pods_that_start_and_go_again() {
        let ticks = forecast(&question("0 0", 9_000.0));
        let at = |second: u64| ticks.iter().find(|tick| tick.second == second).unwrap();
        // The windows of H3: nothing for 60 s, then 4 pods a minute, as the real controller does it.
        let wanted = [45, 60, 105, 120].map(|second| at(second).replicas);
        assert_eq!(wanted, [2, 6, 6, 10]);
        assert_eq!([60, 75].map(|second| at(second).running), [2, 6]);
        // 80/s is the limit, however many pods there are.
        let fastest = ticks.iter().map(|tick| tick.delivered_per_second);
        assert!((fastest.fold(0.0, f64::max) - 80.0).abs() < 1e-9);
        let last = ticks.last().unwrap();
        assert_eq!(last.depth, 0);
        assert!(last.replicas < 10);
    }

    #[test]
    fn a_pod_that_the_first_sync_adds_starts_as_any_other() {
        let mut question = question("0 0", 9_000.0);
        question.pod_start = Duration::from_secs(20);
        question.hpa.up.window = Duration::ZERO;
        let ticks = forecast(&question);
        assert!(ticks[0].replicas > 2, "{ticks:?}");
        let running = [ticks[0], ticks[1], ticks[2]].map(|tick| tick.running);
        assert_eq!(running, [2, 2, ticks[0].replicas]);
    }

    #[test]
    fn queues_of_one_workspace_share_its_limit() {
        let fastest = |of_a_workspace| {
            let mut question = question("0 0", 9_000.0);
            question.queues.of_a_workspace = of_a_workspace;
            let ticks = forecast(&question);
            let rates = ticks.iter().map(|tick| tick.delivered_per_second);
            rates.fold(0.0, f64::max)
        };
        assert!((fastest(1) - 2.0 * fastest(2)).abs() < 1e-9);
    }

    #[test]
    fn cpu_adds_pods_where_the_depth_does_not() {
        let mut question = question("0 15", 0.0);
        // 15/s of 20 ms are 0.3 cores: 136 % of what two pods ask for.
        question.cpu_seconds_per_event = 0.02;
        let ticks = forecast(&question);
        assert_eq!(ticks.last().unwrap().replicas, 4);
    }
}
