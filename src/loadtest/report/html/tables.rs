//! The numbers of the page: tiles, tables, what the run was.

use std::fmt::Write;

use super::text::{Escaped, latency, percent, plain, time_tick};
use crate::loadtest::report::compare::{Difference, Judgement};
use crate::loadtest::report::curves;
use crate::loadtest::report::document::{Adapted, CleanUp, Report, Trend, Way};
use crate::loadtest::report::numbers::share;
use crate::runtime::digits::thousands;

/// The tiles that are to be 0.
const ERRORS: &str = "Errors";
const THROTTLED: &str = "Answered 429";
const DROPPED: &str = "Dropped";

/// What is read first.
pub(super) fn tiles(report: &Report) -> String {
    let (totals, profile) = (&report.totals, &report.profile);
    let counted = report.way.counted();
    let [first, second] = curves::of(report.way).map(|curve| {
        let it = (curve.in_all)(&report.latencies);
        let beyond = format!("p50 {} · p99 {}", latency(it.p50), latency(it.p99));
        (format!("p95 {}", curve.name), latency(it.p95), beyond)
    });
    let tiles = [
        (
            "Iterations".to_owned(),
            thousands(totals.completed),
            format!(
                "of {} planned · {:.1}/s",
                thousands(profile.iterations),
                totals.iterations_per_second
            ),
        ),
        (
            capitalised(counted),
            thousands(totals.requests),
            format!(
                "{:.1}/s · peak of the plan {}/s",
                totals.requests_per_second,
                plain(profile.peak_requests_per_second)
            ),
        ),
        first,
        second,
        (
            ERRORS.to_owned(),
            thousands(totals.errors),
            format!("{} of the {counted}", percent(totals.error_share)),
        ),
        match report.way {
            Way::Api => (
                THROTTLED.to_owned(),
                thousands(totals.throttled()),
                format!("{} of the requests", percent(totals.throttled_share)),
            ),
            Way::Queue => (
                "Ended".to_owned(),
                thousands(totals.answered),
                format!(
                    "{} of the jobs",
                    percent(share(totals.answered, totals.requests))
                ),
            ),
        },
        (
            DROPPED.to_owned(),
            thousands(totals.dropped),
            format!("{} of the iterations", percent(totals.dropped_share)),
        ),
        (
            "Users".to_owned(),
            thousands(totals.users as u64),
            format!("of at most {}", profile.max_users),
        ),
    ];
    let mut html = String::new();
    for (name, value, note) in tiles {
        let bad = [ERRORS, THROTTLED, DROPPED].contains(&name.as_str()) && value != "0";
        let class = if bad { " class=\"bad\"" } else { "" };
        // Writing to a string cannot fail.
        writeln!(
            html,
            "<div{class}><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>"
        )
        .unwrap_or_default();
    }
    format!("<dl class=\"tiles\">\n{html}</dl>\n")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|it| it.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The thresholds with their values.
pub(super) fn thresholds(report: &Report) -> String {
    let mut rows = String::new();
    for it in &report.thresholds {
        let (mark, class) = mark(it.held);
        writeln!(
            rows,
            "<tr class=\"{class}\"><td>{mark}</td><td>{}</td><td><code>{}</code></td><td class=\"n\">{}</td></tr>",
            Escaped(&it.metric),
            Escaped(&it.expression),
            measured(&it.metric, it.value)
        )
        .unwrap_or_default();
    }
    section("Thresholds", &["", "metric", "threshold", "value>"], &rows)
}

/// Metrics of durations are in ms.
fn measured(metric: &str, value: f64) -> String {
    if metric.contains("latency") || metric.contains("duration") {
        latency(value)
    } else {
        plain(value)
    }
}

/// What moved since an earlier run; nothing where there is none.
pub(super) fn comparison(report: &Report) -> String {
    let Some(comparison) = &report.comparison else {
        return String::new();
    };
    let rows: String = comparison.differences.iter().map(difference).collect();
    let title = format!(
        "Against {}, tolerance {} %",
        Escaped(&comparison.baseline),
        plain(comparison.tolerance_percent)
    );
    section(&title, &["", "number", "before>", "now>", "change>"], &rows)
}

fn difference(it: &Difference) -> String {
    let (mark, class) = match it.judgement {
        Judgement::Same => ("", "same"),
        Judgement::Better => ("better", "good"),
        Judgement::Worse => ("worse", "bad"),
    };
    let value = |value: f64| match it.unit.as_str() {
        "ms" => latency(value),
        unit => format!("{value:.2} {unit}"),
    };
    let grown = it.grown_percent();
    let grown = grown.map_or_else(|| "–".to_owned(), |it| format!("{it:+.1} %"));
    format!(
        "<tr class=\"{class}\"><td>{mark}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{grown}</td></tr>\n",
        Escaped(&it.name),
        value(it.before),
        value(it.after)
    )
}

/// Every latency of the run.
pub(super) fn latencies(report: &Report) -> String {
    let it = &report.latencies;
    let mut trends = Vec::with_capacity(7);
    let requests = [
        ("identify, from send", it.identify.from_send),
        ("identify, from schedule", it.identify.from_schedule),
        ("track, from send", it.track.from_send),
        ("track, from schedule", it.track.from_schedule),
        ("both, from send", it.all.from_send),
        ("both, from schedule", it.all.from_schedule),
    ];
    match it.enqueue.zip(it.lag) {
        Some((enqueue, lag)) => trends.extend([("to enqueue", enqueue), ("to acceptance", lag)]),
        None => trends.extend(requests),
    }
    trends.push(("iteration, with its pause", it.iteration));
    let rows: String = trends.iter().map(|(name, it)| trend(name, it)).collect();
    let head = [
        "latency", "avg>", "min>", "p50>", "p90>", "p95>", "p99>", "max>",
    ];
    section("Latencies", &head, &rows)
}

fn trend(name: &str, it: &Trend) -> String {
    let mut cells = String::new();
    for value in [it.avg, it.min, it.p50, it.p90, it.p95, it.p99, it.max] {
        let text = if it.count == 0 {
            "–".to_owned()
        } else {
            latency(value)
        };
        write!(cells, "<td class=\"n\">{text}</td>").unwrap_or_default();
    }
    format!("<tr><td>{name}</td>{cells}</tr>\n")
}

/// What became of what was sent.
pub(super) fn ends(report: &Report) -> String {
    match report.way {
        Way::Api => statuses(report),
        Way::Queue => jobs(report),
    }
}

/// Answers by status.
fn statuses(report: &Report) -> String {
    let totals = &report.totals;
    let none = (totals.unanswered() > 0).then(|| ("no answer".to_owned(), totals.unanswered()));
    let all = totals
        .statuses
        .iter()
        .map(|(status, count)| (status.to_string(), *count));
    let rows = shares(all.chain(none), totals.requests);
    section("Answers", &["status", "requests>", "share>"], &rows)
}

/// Counts with their shares of `whole`.
fn shares(counts: impl IntoIterator<Item = (String, u64)>, whole: u64) -> String {
    let mut rows = String::new();
    for (name, number) in counts {
        writeln!(
            rows,
            "<tr><td>{name}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            thousands(number),
            percent(share(number, whole))
        )
        .unwrap_or_default();
    }
    rows
}

/// Through the queue no answer is seen: what became of the jobs.
fn jobs(report: &Report) -> String {
    let totals = &report.totals;
    let doubtful = report.clean_up.map_or(0, |it| it.doubtful as u64);
    let count = |it: Option<Trend>| it.map_or(0, |it| it.count);
    let counts = [
        ("added", count(report.latencies.enqueue)),
        ("completed", count(report.latencies.lag)),
        ("not added, or failed for good", totals.errors),
        ("in doubt at the end", doubtful),
    ];
    let counts = counts.map(|(name, number)| (name.to_owned(), number));
    let rows = shares(counts, totals.requests);
    section("Jobs", &["", "jobs>", "share>"], &rows)
}

/// What was asked for, and what was left behind.
pub(super) fn details(report: &Report) -> String {
    let (profile, workspace) = (&report.profile, &report.workspace);
    let mut load = format!("{} iterations/s", plain(profile.start_rate));
    for stage in &profile.stages {
        let (target, time) = (plain(stage.target), time_tick(stage.duration_s));
        write!(load, " → {target} in {time}").unwrap_or_default();
    }
    let users = format!(
        "{} from the start, at most {}",
        profile.pre_allocated_users, profile.max_users
    );
    let facts = [
        ("load", load),
        (
            "pause of a user",
            format!("{} ms", plain(profile.think_time_ms)),
        ),
        ("users", users),
        (
            "lasted",
            format!(
                "{:.1} s of {} s",
                report.elapsed_s,
                plain(profile.duration_s)
            ),
        ),
        ("through", report.way.as_str().to_owned()),
        ("adapted", adapted(report.adapt)),
        ("region", workspace.region.clone()),
        ("clean-up", clean_up(report.clean_up)),
        ("program", report.program.clone()),
    ];
    let mut rows = String::new();
    for (name, value) in facts {
        writeln!(rows, "<tr><td>{name}</td><td>{}</td></tr>", Escaped(&value)).unwrap_or_default();
    }
    section("The run", &[], &rows)
}

fn adapted(it: Option<Adapted>) -> String {
    let Some(it) = it else {
        return "no: the rate is the plan's".to_owned();
    };
    let asked = format!("{} of the rate asked at the end", percent(it.share));
    match it.held_requests_per_second {
        None => format!("{asked}; no rate held for a second without 429"),
        Some(rate) => format!(
            "{asked}; {} requests/s held for {} s",
            plain(rate),
            it.held_s
        ),
    }
}

fn clean_up(it: Option<CleanUp>) -> String {
    let Some(it) = it else {
        return "not done: run cio loadtest cleanup".to_owned();
    };
    let deleted = format!(
        "{} of {} test users deleted",
        it.created - it.failed.min(it.created),
        it.created
    );
    let deleted = match it.left {
        None => format!("{deleted}; accepted, not verified"),
        Some(left) => format!("{deleted}; verified, {left} left"),
    };
    match it.doubtful {
        0 => deleted,
        jobs => format!("{deleted}; {jobs} jobs may create users again: run cio loadtest cleanup"),
    }
}

fn mark(good: bool) -> (&'static str, &'static str) {
    if good {
        ("✓", "good")
    } else {
        ("✗", "bad")
    }
}

/// A table; a column whose name ends in a `>` holds numbers.
fn section(title: &str, head: &[&str], rows: &str) -> String {
    let mut cells = String::new();
    for name in head {
        let cell = match name.strip_suffix('>') {
            Some(name) => format!("<th class=\"n\">{name}</th>"),
            None => format!("<th>{name}</th>"),
        };
        cells.push_str(&cell);
    }
    let head = match cells.as_str() {
        "" => cells,
        _ => format!("<thead><tr>{cells}</tr></thead>\n"),
    };
    format!(
        "<section>\n<h2>{title}</h2>\n<div class=\"scroll\"><table>\n{head}<tbody>\n{rows}</tbody>\n</table></div>\n</section>\n"
    )
}
