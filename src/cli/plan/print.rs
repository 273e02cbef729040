//! Plans and forecasts as text.

use std::fmt::Write as _;

use anyhow::Context;
use serde::Serialize;

use crate::cli::{CommandError, stdout};
use crate::plan::capacity::{Bound, Pace, Plan, QUEUE_EVENTS_PER_SECOND};
use crate::plan::forecast::{Question, Tick};
use crate::plan::plot::plot;
use crate::runtime::digits::thousands;

/// Columns and rows of a plot: it fits a terminal of 80.
const PLOT: (usize, usize) = (66, 6);

pub(super) fn json<T: Serialize>(value: &T) -> Result<(), CommandError> {
    let json = serde_json::to_string_pretty(value).context("failed to write JSON")?;
    stdout::print(&format!("{json}\n"))
}

/// The plan as two columns.
pub(super) fn table(plan: &Plan, pace: &Pace) -> String {
    let rows = [
        ("tier", tier(plan)),
        ("events/s", events(plan)),
        ("requests/s", requests(plan)),
        ("workspaces", workspaces(plan)),
        ("shards", shards(plan)),
        ("workers", workers(plan, pace)),
        ("redis", redis(plan)),
        ("backlog", drain(plan)),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        for (index, line) in value.lines().enumerate() {
            let name = if index == 0 { name } else { "" };
            // Writing to a String cannot fail.
            writeln!(text, "{name:<11} {line}").ok();
        }
    }
    text
}

fn tier(plan: &Plan) -> String {
    let (tier, events) = (plan.tier, thousands(plan.volume.events_per_day));
    format!(
        "{}: {events} events a day are in the range {}\n{}",
        tier.title(),
        tier.range(),
        tier.advice()
    )
}

fn events(plan: &Plan) -> String {
    format!(
        "{:.1} on average, {:.1} in the busiest hour",
        plan.average.events_per_second, plan.peak.events_per_second
    )
}

fn requests(plan: &Plan) -> String {
    let peak = plan.peak.requests_per_second;
    let mut text = format!(
        "{:.2} on average, {peak:.2} at the peak, with up to {} events in a request",
        plan.average.requests_per_second, plan.events_per_request
    );
    let mut share = |limit: f64, name: &str| {
        let percent = peak / limit * 100.0;
        write!(
            text,
            "\n{percent:.1} % of {name} ({limit:.0}/s) for one workspace"
        )
        .ok();
    };
    if let Some(limit) = plan.limit_requests_per_second {
        share(f64::from(limit), "the limit that is set");
    }
    share(plan.documented_requests_per_second, "the documented limit");
    text
}

fn workspaces(plan: &Plan) -> String {
    let count = plan.workspaces;
    match plan.limit_requests_per_second {
        None => format!("{count}: no limit is set"),
        Some(limit) => format!("{count}, each with {limit} requests/s of its own"),
    }
}

fn shards(plan: &Plan) -> String {
    match plan.shards {
        1 => "1: one queue and one CioPipeline".to_owned(),
        shards => format!("{shards}: as many queues, each with a CioPipeline of its own"),
    }
}

fn workers(plan: &Plan, pace: &Pace) -> String {
    let workers = plan.workers;
    let (useful, reached) = (workers.useful, reached(workers.bound));
    let (most, each) = (plan.replicas.max, workers.peak.div_ceil(plan.shards));
    let few = if u64::from(most) < each {
        format!("\nthe pipeline's maxReplicas of {most} is too low for the peak: it needs {each}")
    } else {
        String::new()
    };
    format!(
        "{} on average, {} at the peak: {:.1} requests in flight of {} ms, {:.1} in a pod\n\
         more than {useful} help nothing: {reached}{few}",
        workers.average,
        workers.peak,
        workers.in_flight_at_peak,
        plan.volume.latency_ms,
        pace.requests_in_flight(plan.volume.payload_bytes)
    )
}

fn redis(plan: &Plan) -> String {
    let redis = plan.redis;
    format!(
        "{}: {} for an hour at the peak that waits, {} for finished jobs, and half as much again",
        mebibytes(redis.recommended_bytes),
        mebibytes(redis.backlog_bytes),
        mebibytes(redis.retained_bytes)
    )
}

fn drain(plan: &Plan) -> String {
    let drain = plan.drain;
    let backlog = thousands(drain.backlog);
    let capacity = drain.capacity_events_per_second;
    match drain.seconds {
        Some(seconds) => format!(
            "{backlog} jobs of a peak hour are gone after {}, at {capacity:.0} events/s while the average arrives",
            duration(seconds)
        ),
        None => format!(
            "{backlog} jobs of a peak hour are never gone: {capacity:.0} events/s are not more than arrive on average"
        ),
    }
}

/// Two plots and a table with a line for each change of the pods and each minute.
pub(super) fn forecast(ticks: &[Tick], question: &Question) -> String {
    let hpa = &question.hpa;
    #[expect(clippy::cast_precision_loss, reason = "a plot shows no 2^53rd job")]
    let depths: Vec<f64> = ticks.iter().map(|tick| tick.depth as f64).collect();
    let replicas: Vec<f64> = ticks.iter().map(|tick| f64::from(tick.replicas)).collect();
    let title = format!("pods wanted ({} to {})", hpa.min_replicas, hpa.max_replicas);
    let mut text = plot("jobs in the queue", &depths, PLOT.0, PLOT.1);
    text.push('\n');
    text.push_str(&plot(&title, &replicas, PLOT.0, PLOT.1));
    text.push_str("\n   TIME  ARRIVE/S  DELIVER/S       DEPTH  RUNNING  WANTED\n");
    let mut before = None;
    for tick in ticks {
        let changed = before != Some(tick.replicas);
        before = Some(tick.replicas);
        if changed || tick.second % 300 == 0 {
            let (minutes, seconds) = (tick.second / 60, tick.second % 60);
            writeln!(
                text,
                "{minutes:>4}:{seconds:02}  {:>8.1}  {:>9.1}  {:>10}  {:>7}  {:>6}",
                tick.arrivals_per_second,
                tick.delivered_per_second,
                tick.depth,
                tick.running,
                tick.replicas
            )
            .ok();
        }
    }
    if question.queues.all > 1 {
        writeln!(
            text,
            "\nThis is one of {} queues, each with a pipeline of its own and as much of the volume.",
            question.queues.all
        )
        .ok();
    }
    let sharing = question.queues.of_a_workspace;
    let useful = question.pace.useful(&question.volume, sharing);
    let (pods, reached) = (useful.pods, reached(useful.bound));
    writeln!(
        text,
        "\nWith {pods} running, more pods deliver nothing more: {reached}."
    )
    .ok();
    text
}

/// What is reached, and what helps.
fn reached(bound: Bound) -> String {
    match bound {
        Bound::WorkspaceLimit => {
            "the workspace's limit is reached; another workspace has a limit of its own".to_owned()
        }
        Bound::Queue => format!(
            "the {QUEUE_EVENTS_PER_SECOND:.0} events/s of one queue are reached; more shards, each a queue with a \
             pipeline of its own, do more"
        ),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", thousands(bytes.div_ceil(1 << 20)))
}

fn duration(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_is_what_lifts_the_bound_that_is_reached() {
        let queue = reached(Bound::Queue);
        assert!(
            queue.contains("4000 events/s") && queue.contains("shards"),
            "{queue}"
        );
        assert!(!queue.contains("limit"), "{queue}");
        assert!(reached(Bound::WorkspaceLimit).contains("another workspace"));
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(mebibytes(1), "1 MiB");
        assert_eq!(
            [5.0, 600.0, 9000.0].map(duration),
            ["5 s", "10 min", "2.5 h"]
        );
    }
}
