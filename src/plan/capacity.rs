//! The arithmetic of docs/capacity.md: what a volume needs, and what a pipeline can do.

use serde::Serialize;

use super::tier::Tier;
use crate::api::{CioPipelineSpec, DeliveryMode};
use crate::delivery::encode::{BATCH_ITEM, JOBS_PER_BATCH, MAX_BATCH};

/// Requests/s that a workspace is said to take.
pub const DOCUMENTED_LIMIT: f64 = 100.0;
/// The worker fills a request of `/api/v2/batch` no further.
const BATCH_BYTES: u64 = MAX_BATCH as u64;
/// A larger operation cannot be in a batch and goes alone.
const ITEM_BYTES: u64 = BATCH_ITEM as u64;
/// What a batch has of an operation besides its data: type, identifiers, action, name, id, time.
const ITEM_ENVELOPE: u64 = 160;
/// In batch mode the worker holds so many jobs for each request that it may have in flight.
const JOBS_PER_REQUEST: u64 = JOBS_PER_BATCH as u64;
/// Memory of Redis for a waiting job besides its data.
const JOB_OVERHEAD: f64 = 800.0;
/// Redis' allocator rounds up.
const MEMORY_PER_BYTE: f64 = 1.25;
/// What a finished job needs besides: its time, its result, its place in a sorted set, its events.
const FINISHED_OVERHEAD: f64 = 650.0;
/// Memory for fragmentation and for what a fork copies, over what the jobs need.
const MEMORY_HEADROOM: f64 = 1.5;
/// Jobs/s added and finished that one Redis core does with BullMQ's scripts is 8,800; half of it.
pub const QUEUE_EVENTS_PER_SECOND: f64 = 4_000.0;
const SECONDS_PER_DAY: f64 = 86_400.0;
const SECONDS_PER_HOUR: f64 = 3_600.0;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// Events in a day.
    pub events_per_day: u64,
    /// How much busier the busiest hour is than the average one.
    pub peak_factor: f64,
    /// An event's data, as JSON.
    pub payload_bytes: u64,
    /// From sending a request to its answer.
    pub latency_ms: f64,
}

/// What a pipeline is set to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// One request for many events, or for each.
    pub mode: DeliveryMode,
    /// The workspace's limit; `None` is no limit.
    pub requests_per_second: Option<u32>,
    /// Requests in flight in a pod.
    pub in_flight: u32,
    /// The pod's concurrency, from which follows how many jobs it holds.
    pub concurrency: u32,
    /// Finished jobs that stay in Redis.
    pub retained: u64,
    /// The HPA's least and most pods; nothing where the plan is to say how many.
    pub replicas: Option<Replicas>,
}

/// The HPA's bounds in one pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replicas {
    /// The least pods.
    pub min: u32,
    /// The most pods.
    pub max: u32,
}

/// The bounds that a pipeline has at least: row H1 of the guide.
const USUAL: Replicas = Replicas { min: 2, max: 20 };

impl Pace {
    /// The numbers of a `CioPipeline`.
    pub fn of(spec: &CioPipelineSpec) -> Self {
        let limit = spec.workspace.rate_limit.requests_per_second.unsigned_abs();
        let (worker, scaling) = (&spec.worker, &spec.autoscaling);
        let kept = spec.queue.retention;
        Self {
            mode: spec.delivery.mode,
            requests_per_second: (limit > 0).then_some(limit),
            concurrency: worker.concurrency.unsigned_abs(),
            in_flight: worker.concurrency.min(worker.max_concurrent).unsigned_abs(),
            retained: kept.completed.unsigned_abs() + kept.failed.unsigned_abs(),
            replicas: Some(Replicas {
                min: scaling.min_replicas.unsigned_abs(),
                max: scaling.max_replicas.unsigned_abs(),
            }),
        }
    }

    /// Events that one request carries when there are enough of them.
    pub fn events_per_request(&self, payload_bytes: u64) -> u64 {
        let item = payload_bytes + ITEM_ENVELOPE;
        match self.mode {
            DeliveryMode::Single => 1,
            DeliveryMode::Batch if item > ITEM_BYTES => 1,
            DeliveryMode::Batch => (BATCH_BYTES / item).min(self.jobs_held()),
        }
    }

    /// Jobs that a pod has in its hands to fill requests with.
    fn jobs_held(&self) -> u64 {
        match self.mode {
            DeliveryMode::Single => self.concurrency.into(),
            DeliveryMode::Batch => u64::from(self.concurrency) * JOBS_PER_REQUEST,
        }
    }

    /// Requests in flight in a pod: no more than are allowed, and than it has jobs for.
    pub fn requests_in_flight(&self, payload_bytes: u64) -> f64 {
        let filled = float(self.jobs_held()) / float(self.events_per_request(payload_bytes));
        filled.min(f64::from(self.in_flight))
    }

    /// Requests/s that so many pods send where nothing limits them: Little's law.
    fn requests_of(&self, pods: u32, volume: &Volume) -> f64 {
        f64::from(pods) * self.requests_in_flight(volume.payload_bytes) * 1000.0 / volume.latency_ms
    }

    /// Pods with which one pipeline reaches what bounds it when `queues` share the workspace's limit, so that more
    /// help nothing.
    pub fn useful(&self, volume: &Volume, queues: u64) -> Useful {
        let limit = self.requests_per_second.map_or(f64::INFINITY, f64::from) / float(queues);
        let of_queue =
            QUEUE_EVENTS_PER_SECOND / float(self.events_per_request(volume.payload_bytes));
        let (requests, bound) = if of_queue < limit {
            (of_queue, Bound::Queue)
        } else {
            (limit, Bound::WorkspaceLimit)
        };
        Useful {
            pods: count(requests / self.requests_of(1, volume)),
            bound,
        }
    }

    /// Events/s that one queue's pods deliver when `queues` share the workspace's limit.
    pub fn events_of(&self, pods: u32, volume: &Volume, queues: u64) -> f64 {
        let limit = self.requests_per_second.map_or(f64::INFINITY, f64::from);
        let requests = self.requests_of(pods, volume);
        let requests = requests.min(limit / float(queues));
        let events = requests * float(self.events_per_request(volume.payload_bytes));
        events.min(QUEUE_EVENTS_PER_SECOND)
    }
}

/// Where more pods help nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Useful {
    /// With so many it is reached.
    pub pods: u64,
    /// What is reached.
    pub bound: Bound,
}

/// What bounds one pipeline however many pods it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Bound {
    /// Its part of the workspace's requests/s: another workspace helps.
    WorkspaceLimit,
    /// [`QUEUE_EVENTS_PER_SECOND`]: more shards help.
    Queue,
}

/// What the volume needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What was asked.
    pub volume: Volume,
    /// The guide's architecture.
    pub tier: Tier,
    /// Events that one request carries.
    pub events_per_request: u64,
    /// On an average day, evenly spread.
    pub average: Rate,
    /// In the busiest hour.
    pub peak: Rate,
    /// Requests/s in force for each workspace; absent where there is no limit.
    pub limit_requests_per_second: Option<u32>,
    /// What Customer.io's documents and the guide allow a workspace.
    pub documented_requests_per_second: f64,
    /// Workspaces, each with a limit of its own.
    pub workspaces: u64,
    /// Queues, each with a pipeline of its own.
    pub shards: u64,
    /// For all shards.
    pub workers: Workers,
    /// For each shard.
    pub replicas: Replicas,
    /// For all shards.
    pub redis: Redis,
    /// How fast a backlog goes.
    pub drain: Drain,
}

/// Events and requests in a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Events.
    pub events_per_second: f64,
    /// Requests with full batches.
    pub requests_per_second: f64,
}

/// Pods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workers {
    /// Requests in flight at the peak.
    pub in_flight_at_peak: f64,
    /// Pods for an average day.
    pub average: u64,
    /// Pods for the peak.
    pub peak: u64,
    /// Pods at which a bound is reached, so that more help nothing.
    pub useful: u64,
    /// Which one.
    pub bound: Bound,
}

/// Memory of Redis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Redis {
    /// Waiting jobs of an hour at the peak in which nothing can be delivered.
    pub backlog_bytes: u64,
    /// Finished jobs that are kept.
    pub retained_bytes: u64,
    /// What to give Redis (`maxmemory`, all shards together).
    pub recommended_bytes: u64,
}

/// How fast a backlog goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Jobs of an hour at the peak.
    pub backlog: u64,
    /// What is delivered with all pods that help.
    pub capacity_events_per_second: f64,
    /// Until it is gone while events arrive as on average; absent if it never is.
    pub seconds: Option<f64>,
}

impl Plan {
    /// The events/s of each shard.
    pub fn of_a_shard(&self, rate: Rate) -> f64 {
        rate.events_per_second / float(self.shards)
    }
}

/// The plan for `volume`, with pipelines set as `pace` says.
pub fn plan(volume: Volume, pace: &Pace) -> Plan {
    let tier = Tier::of(volume.events_per_day);
    let per_request = pace.events_per_request(volume.payload_bytes);
    let average = rate(float(volume.events_per_day) / SECONDS_PER_DAY, per_request);
    let peak = rate(average.events_per_second * volume.peak_factor, per_request);
    let by_rate = pace.requests_per_second.map_or(1, |limit| {
        count(peak.requests_per_second / f64::from(limit))
    });
    let workspaces = by_rate.max(tier.least_workspaces());
    let by_queue = count(peak.events_per_second / QUEUE_EVENTS_PER_SECOND);
    // A pipeline has one workspace; each workspace gets the same number of queues.
    let shards = by_queue.max(1).div_ceil(workspaces) * workspaces;
    let workers = workers(&volume, pace, [average, peak], [shards, workspaces]);
    let replicas = pace.replicas.unwrap_or_else(|| bounds(workers, shards));
    Plan {
        volume,
        tier,
        events_per_request: per_request,
        average,
        peak,
        limit_requests_per_second: pace.requests_per_second,
        documented_requests_per_second: DOCUMENTED_LIMIT,
        workspaces,
        shards,
        workers,
        replicas,
        redis: redis(&volume, pace, &peak, shards),
        drain: drain(
            &volume,
            pace,
            replicas,
            [average, peak],
            [shards, workspaces],
        ),
    }
}

/// Seconds until `backlog` jobs are gone; `None` if they never are.
pub fn drain_seconds(backlog: f64, capacity: f64, arrivals: f64) -> Option<f64> {
    (capacity > arrivals).then(|| backlog / (capacity - arrivals))
}

fn rate(events_per_second: f64, per_request: u64) -> Rate {
    Rate {
        events_per_second,
        requests_per_second: events_per_second / float(per_request),
    }
}

/// Little's law: requests in flight are requests/s times the seconds that each takes.
fn workers(
    volume: &Volume,
    pace: &Pace,
    [average, peak]: [Rate; 2],
    [shards, workspaces]: [u64; 2],
) -> Workers {
    let in_flight = |requests: f64| requests * volume.latency_ms / 1000.0;
    // Each shard has pods of its own, and at least one.
    let pods = |requests: f64, parts: u64| {
        let of_a_pod = pace.requests_in_flight(volume.payload_bytes);
        count(in_flight(requests) / of_a_pod / float(parts)) * parts
    };
    let useful = pace.useful(volume, shards / workspaces);
    Workers {
        in_flight_at_peak: in_flight(peak.requests_per_second),
        average: pods(average.requests_per_second, shards),
        peak: pods(peak.requests_per_second, shards),
        useful: useful.pods * shards,
        bound: useful.bound,
    }
}

/// More pods than can help are harmless, fewer than the guide's are not.
fn bounds(workers: Workers, shards: u64) -> Replicas {
    let each = |pods: u64| u32::try_from(pods.div_ceil(shards)).unwrap_or(u32::MAX);
    // What a queue takes is many times what comes: only a limit keeps many pods busy.
    let useful = match workers.bound {
        Bound::WorkspaceLimit => workers.useful,
        Bound::Queue => workers.peak,
    };
    let max = each(workers.peak.max(useful)).max(USUAL.max);
    Replicas {
        min: each(workers.average).max(USUAL.min).min(max),
        max,
    }
}

fn redis(volume: &Volume, pace: &Pace, peak: &Rate, shards: u64) -> Redis {
    let waiting = JOB_OVERHEAD + MEMORY_PER_BYTE * float(volume.payload_bytes);
    let jobs = peak.events_per_second * SECONDS_PER_HOUR;
    let backlog_bytes = count(jobs * waiting);
    let retained = float(pace.retained * shards);
    let retained_bytes = count(retained * (waiting + FINISHED_OVERHEAD));
    Redis {
        backlog_bytes,
        retained_bytes,
        recommended_bytes: count(float(backlog_bytes + retained_bytes) * MEMORY_HEADROOM),
    }
}

fn drain(
    volume: &Volume,
    pace: &Pace,
    replicas: Replicas,
    [average, peak]: [Rate; 2],
    [shards, workspaces]: [u64; 2],
) -> Drain {
    let backlog = peak.events_per_second * SECONDS_PER_HOUR;
    let each = pace.events_of(replicas.max, volume, shards / workspaces);
    let capacity = each * float(shards);
    Drain {
        backlog: count(backlog),
        capacity_events_per_second: capacity,
        seconds: drain_seconds(backlog, capacity, average.events_per_second),
    }
}

/// A whole number of things, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and what is beyond u64 becomes its maximum"
)]
fn count(value: f64) -> u64 {
    // A sum like 0.1 * 3 / 0.3 is hardly above a whole number and must not cost one more.
    ((value - 1e-9).ceil() as u64).max(1)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of events and bytes, far below 2^53"
)]
fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(mode: DeliveryMode) -> Pace {
        Pace {
            mode,
            requests_per_second: Some(80),
            in_flight: 10,
            concurrency: 10,
            retained: 60_000,
            replicas: Some(USUAL),
        }
    }

    fn volume(events_per_day: u64) -> Volume {
        Volume {
            events_per_day,
            peak_factor: 3.0,
            payload_bytes: 250,
            latency_ms: 200.0,
        }
    }

    #[test]
    fn one_request_an_event_needs_a_workspace_for_each_80_a_second() {
        let plan = plan(volume(8_640_000), &pace(DeliveryMode::Single));
        assert_eq!((plan.tier, plan.events_per_request), (Tier::Queued, 1));
        assert!((plan.average.requests_per_second - 100.0).abs() < 1e-6);
        assert!((plan.peak.requests_per_second - 300.0).abs() < 1e-6);
        // 300 / 80 = 3.75.
        assert_eq!((plan.workspaces, plan.shards), (4, 4));
        // 300 requests/s of 0.2 s are 60 in flight, 15 for each shard: 2 pods of 10.
        assert_eq!((plan.workers.peak, plan.workers.useful), (8, 8));
        assert_eq!(plan.workers.bound, Bound::WorkspaceLimit);
        // 1,080,000 jobs at 320/s while 100/s arrive.
        let seconds = plan.drain.seconds.expect("it ends");
        assert!((seconds - 1_080_000.0 / 220.0).abs() < 1.0, "{seconds}");
    }

    #[test]
    fn batches_carry_the_same_in_one_workspace() {
        let plan = plan(volume(8_640_000), &pace(DeliveryMode::Batch));
        assert_eq!((plan.events_per_request, plan.workspaces), (1_170, 1));
        assert!((plan.peak.requests_per_second - 300.0 / 1_170.0).abs() < 1e-6);
        assert_eq!(plan.workers.peak, 1);
        // 800 and 1.25 times 250 bytes of a waiting job, rounded up: 1112.5.
        assert_eq!(plan.redis.backlog_bytes, 1_080_000 * 2_225 / 2);
        assert_eq!(plan.redis.retained_bytes, 60_000 * 3_525 / 2);
    }

    #[test]
    fn a_batch_is_bounded_by_bytes_and_a_large_event_goes_alone() {
        let batch = pace(DeliveryMode::Batch);
        let cases = [
            (0, 2_000),
            (250, 1_170),
            (9_840, 48),
            (32_608, 14),
            (32_609, 1),
        ];
        for (payload, events) in cases {
            assert_eq!(batch.events_per_request(payload), events, "{payload}");
        }
        // 2,000 jobs in a pod's hands fill 1.7 such requests, not 10.
        assert!((batch.requests_in_flight(250) - 2_000.0 / 1_170.0).abs() < 1e-9);
        assert!((batch.requests_in_flight(9_840) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_highest_tier_has_two_workspaces_even_where_one_would_do() {
        let plan = plan(volume(20_000_000), &pace(DeliveryMode::Batch));
        assert_eq!((plan.tier, plan.workspaces), (Tier::Distributed, 2));
        assert_eq!(plan.redis.retained_bytes, 60_000 * 3_525);
    }

    #[test]
    fn more_pods_help_nothing_from_the_lower_of_two_bounds_on() {
        let volume = volume(8_640_000);
        let useful = |pace: Pace, queues| pace.useful(&volume, queues);
        let bounded = |pods, bound| Useful { pods, bound };
        // 80 requests/s of 0.2 s are 16 in flight, 10 in a pod; a half of them is 8.
        let single = pace(DeliveryMode::Single);
        assert_eq!(useful(single, 1), bounded(2, Bound::WorkspaceLimit));
        assert_eq!(useful(single, 2), bounded(1, Bound::WorkspaceLimit));
        // 4,000 of 0.2 s are 800 in flight.
        let unlimited = Pace {
            requests_per_second: None,
            ..single
        };
        assert_eq!(useful(unlimited, 1), bounded(80, Bound::Queue));
        // 4,000 events are 3.4 requests of 1,170, far from 80.
        let batch = pace(DeliveryMode::Batch);
        assert_eq!(useful(batch, 1), bounded(1, Bound::Queue));
        let scarce = Pace {
            requests_per_second: Some(3),
            ..batch
        };
        assert_eq!(useful(scarce, 1), bounded(1, Bound::WorkspaceLimit));
    }

    #[test]
    fn a_backlog_that_grows_is_never_drained() {
        assert_eq!(drain_seconds(100.0, 10.0, 10.0), None);
        assert_eq!(drain_seconds(100.0, 30.0, 10.0), Some(5.0));
        let mut small = pace(DeliveryMode::Single);
        small.replicas = Some(Replicas { min: 1, max: 1 });
        let slow = Volume {
            latency_ms: 2_000.0,
            ..volume(8_640_000)
        };
        // One pod a shard, 10 in flight, 2 s each: 5 requests/s.
        let drain = plan(slow, &small).drain;
        assert!((drain.capacity_events_per_second - 20.0).abs() < 1e-6);
        assert_eq!(drain.seconds, None);
    }

    #[test]
    fn the_drain_is_that_of_the_pods_in_the_manifest() {
        // 50 requests/s and pod, of an unlimited workspace: 5,000 at the peak are more than 20 pods.
        let unlimited = Pace {
            requests_per_second: None,
            replicas: None,
            ..pace(DeliveryMode::Single)
        };
        let plan = plan(volume(86_400_000), &unlimited);
        let max = plan.replicas.max;
        assert!(max > USUAL.max, "{max}");
        let each = unlimited.events_of(max, &plan.volume, 1);
        let capacity = plan.drain.capacity_events_per_second;
        assert!((capacity - each * float(plan.shards)).abs() < 1e-6);
        assert!(plan.drain.seconds.is_some());
    }
}
