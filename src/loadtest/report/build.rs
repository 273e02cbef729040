//! From the run's numbers to the document.

use jiff::Timestamp;

use super::bins;
use super::document::{
    Adapted, CleanUp, Latencies, Load, Measured, Outcome, Report, Stage, Threshold, Totals, Trend,
    VERSION, Verdict, Way, Workspace,
};
use super::numbers::{real, rounded, share};
use crate::loadtest::adapt::Adapt;
use crate::loadtest::histogram::Histogram;
use crate::loadtest::journal::Header;
use crate::loadtest::profile::Profile;
use crate::loadtest::recorder::{self, Recorder};
use crate::loadtest::run::{self, Removal};
use crate::loadtest::schedule::Schedule;
use crate::loadtest::series::Series;
use crate::loadtest::summary;
use crate::loadtest::thresholds::Judged;

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where the run went.
    pub header: &'a Header,
    /// Where the workspace's data is kept.
    pub region: &'a str,
    /// Which way it went.
    pub way: Way,
    /// What was asked for.
    pub profile: &'a Profile,
    /// When it began.
    pub started_at: Timestamp,
    /// What came of it.
    pub outcome: &'a run::Outcome,
    /// Second by second.
    pub series: &'a Series,
}

/// The document, before the clean-up.
pub fn build(facts: Facts<'_>) -> Report {
    let (header, outcome) = (facts.header, facts.outcome);
    let (numbers, profile) = (&outcome.numbers, load(facts.profile));
    let mut all_from_schedule = numbers.identify.from_schedule.clone();
    all_from_schedule.add(&numbers.track.from_schedule);
    let through_queue = facts.way == Way::Queue;
    Report {
        version: VERSION,
        program: concat!("cio ", env!("CARGO_PKG_VERSION")).to_owned(),
        run: header.run.clone(),
        started_at: facts.started_at,
        elapsed_s: rounded(outcome.elapsed.as_secs_f64()),
        workspace: Workspace {
            site_id: header.site_id.clone(),
            url: header.url.clone(),
            region: facts.region.to_owned(),
        },
        adapt: outcome.adapt.as_ref().map(adapted),
        way: facts.way,
        verdict: verdict(outcome),
        thresholds: outcome.judged.iter().map(threshold).collect(),
        totals: totals(numbers, outcome.elapsed.as_secs_f64(), outcome.planned),
        latencies: Latencies {
            identify: measured(&numbers.identify),
            track: measured(&numbers.track),
            all: Measured {
                from_send: trend(&numbers.all),
                from_schedule: trend(&all_from_schedule),
            },
            iteration: trend(&numbers.iterations),
            enqueue: through_queue.then(|| trend(&numbers.enqueue)),
            lag: through_queue.then(|| trend(&numbers.lag)),
        },
        histogram: bins::of(numbers),
        series: facts.series.points(),
        clean_up: None,
        comparison: None,
        profile,
    }
}

/// The load as the document has it.
pub(super) fn load(profile: &Profile) -> Load {
    let stage = |stage: &crate::loadtest::profile::Stage| Stage {
        target: stage.target,
        duration_s: stage.duration.as_secs_f64(),
    };
    Load {
        start_rate: profile.start_rate,
        stages: profile.stages.iter().map(stage).collect(),
        think_time_ms: profile.think_time.as_secs_f64() * 1_000.0,
        pre_allocated_users: profile.pre_allocated_users,
        max_users: profile.max_users,
        duration_s: profile.duration().as_secs_f64(),
        iterations: Schedule::new(profile).total(),
        peak_requests_per_second: profile.peak_requests(),
    }
}

fn adapted(it: &Adapt) -> Adapted {
    let held = it.held();
    Adapted {
        share: rounded(it.share()),
        held_requests_per_second: held.map(|it| rounded(it.requests_per_second())),
        held_s: held.map_or(0, |it| it.seconds),
    }
}

fn verdict(outcome: &run::Outcome) -> Verdict {
    let crossed = outcome.judged.iter().filter(|it| !it.held);
    let crossed: Vec<String> = crossed
        .map(|it| {
            let (metric, expression) = (it.threshold.metric, &it.threshold.expression);
            format!("{metric} '{expression}' was {:.2}", it.value)
        })
        .collect();
    let unfinished = outcome.unfinished.as_ref().map(ToString::to_string);
    let short = summary::shortfall(outcome);
    let short: Vec<String> = unfinished.into_iter().chain(short).collect();
    Verdict {
        outcome: match (&crossed[..], &short[..]) {
            ([], []) => Outcome::Passed,
            ([], _) => Outcome::FellShort,
            _ => Outcome::Crossed,
        },
        reasons: crossed.into_iter().chain(short).collect(),
    }
}

fn threshold(judged: &Judged) -> Threshold {
    Threshold {
        metric: judged.threshold.metric.to_owned(),
        expression: judged.threshold.expression.clone(),
        value: judged.value,
        held: judged.held,
    }
}

fn totals(it: &Recorder, seconds: f64, planned: u64) -> Totals {
    let seconds = seconds.max(0.001);
    Totals {
        started: it.started,
        completed: it.completed,
        dropped: it.dropped,
        requests: it.requests,
        answered: it.answered,
        errors: it.errors,
        identify_errors: it.identify_errors,
        statuses: it.statuses.clone(),
        users: it.allocated,
        iterations_per_second: rounded(real(it.completed) / seconds),
        requests_per_second: rounded(real(it.requests) / seconds),
        error_share: share(it.errors, it.requests),
        throttled_share: share(it.throttled(), it.requests),
        dropped_share: share(it.dropped, planned),
    }
}

fn measured(it: &recorder::Latencies) -> Measured {
    Measured {
        from_send: trend(&it.from_send),
        from_schedule: trend(&it.from_schedule),
    }
}

fn trend(it: &Histogram) -> Trend {
    let percentile = |percent| rounded(it.percentile(percent));
    Trend {
        count: it.count(),
        avg: rounded(it.mean()),
        min: it.min(),
        p50: percentile(50.0),
        p90: percentile(90.0),
        p95: percentile(95.0),
        p99: percentile(99.0),
        max: it.max(),
    }
}

/// What became of the users; `doubtful` jobs may create theirs after it.
pub fn clean_up(it: Removal, doubtful: usize) -> CleanUp {
    CleanUp {
        created: it.created,
        failed: it.failed,
        left: it.left,
        doubtful,
    }
}
