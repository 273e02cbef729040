//! Which plots there are.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{Chart, Layer, Shape};
use super::scale::Scale;
use super::text::{latency_tick, plain, time_tick};
use crate::loadtest::report::curves::{self, Curve};
use crate::loadtest::report::document::{Report, Way};
use crate::loadtest::report::numbers::real;
use crate::loadtest::series::{Percentiles, Point};

/// Values of which the largest is more than this many times the middle one are drawn in a logarithmic
/// axis: in a linear one the usual values would be a line at its foot.
const WIDE: f64 = 20.0;
/// A status of its own colour; any other has its hundred's.
const THROTTLED: u16 = 429;

/// All of them.
pub(super) fn all(report: &Report) -> String {
    let curves = curves::of(report.way);
    let bounds = latency_bounds(&report.series, &curves);
    let [first, second] = &curves;
    let charts = [
        rate(report),
        match report.way {
            Way::Api => answers(report),
            Way::Queue => jobs(report),
        },
        percentiles(report, first, bounds),
        percentiles(report, second, bounds),
        histogram(report, &curves),
        users(report),
    ];
    let charts: String = charts.iter().map(Chart::html).collect();
    format!("<section class=\"charts\">\n{charts}</section>\n")
}

fn over_time(
    report: &Report,
    title: &'static str,
    note: &str,
    y: Scale,
    layers: Vec<Layer>,
) -> Chart {
    let end = report.series.last().map_or(0.0, |it| it.until_s);
    Chart {
        title,
        note: note.to_owned(),
        x: Scale::time(end),
        y,
        x_label: time_tick,
        y_label: plain,
        over_time: true,
        layers,
    }
}

/// Counts of `path` in a point, a second.
fn layer(name: &str, colour: &'static str, path: &str, shape: Shape) -> Layer {
    Layer {
        name: name.to_owned(),
        colour,
        of: Some((path.to_owned(), "/s")),
        shape,
    }
}

fn rate(report: &Report) -> Chart {
    let points = &report.series;
    let done = |it: &Point| per_second(it.completed, it);
    let finished = |it: &Point| per_second(it.completed + it.dropped, it);
    let completed = points
        .iter()
        .map(|it| (it.from_s, it.until_s, 0.0, done(it)));
    let mut layers = vec![layer(
        "completed",
        "done",
        "completed",
        Shape::Bars(completed.collect()),
    )];
    if report.totals.dropped > 0 {
        let dropped = points
            .iter()
            .map(|it| (it.from_s, it.until_s, done(it), finished(it)));
        layers.push(layer(
            "dropped",
            "dropped",
            "dropped",
            Shape::Bars(dropped.collect()),
        ));
    }
    let scheduled = points
        .iter()
        .map(|it| Some((middle(it), per_second(it.scheduled, it))));
    layers.push(layer(
        "scheduled",
        "ideal",
        "scheduled",
        Shape::Dashes(scheduled.collect()),
    ));
    let most = points
        .iter()
        .map(|it| per_second(it.scheduled, it).max(finished(it)));
    let y = Scale::linear(most.fold(0.0, f64::max));
    over_time(
        report,
        "Rate",
        &format!("iterations a second, each of two {}", report.way.counted()),
        y,
        layers,
    )
}

fn answers(report: &Report) -> Chart {
    let points = &report.series;
    let mut feet = vec![0.0; points.len()];
    let mut stacked = |name: &str, colour, path: &str, of: &dyn Fn(&Point) -> u64| {
        let bars = points.iter().zip(&mut feet).map(|(it, foot)| {
            let bar = (it.from_s, it.until_s, *foot, *foot + per_second(of(it), it));
            *foot = bar.3;
            bar
        });
        layer(name, colour, path, Shape::Bars(bars.collect()))
    };
    let mut layers = Vec::new();
    for (status, colour) in colours(&report.totals.statuses) {
        let count = |it: &Point| it.statuses.get(&status).copied().unwrap_or(0);
        let path = format!("statuses.{status}");
        layers.push(stacked(&status.to_string(), colour, &path, &count));
    }
    if report.totals.unanswered() > 0 {
        layers.push(stacked("no answer", "none", "unanswered", &|it| {
            it.unanswered
        }));
    }
    let y = Scale::linear(feet.iter().copied().fold(0.0, f64::max));
    over_time(report, "Answers", "a second, by status", y, layers)
}

/// Through the queue no answer is seen: what comes in, and what comes to its end.
fn jobs(report: &Report) -> Chart {
    let points = &report.series;
    let (added, ended) = (
        |it: &Point| per_second(it.requests, it),
        |it: &Point| per_second(it.answered, it),
    );
    let bars = points
        .iter()
        .map(|it| (it.from_s, it.until_s, 0.0, ended(it)));
    let dashes = points.iter().map(|it| Some((middle(it), added(it))));
    let layers = vec![
        layer("ended", "ok", "answered", Shape::Bars(bars.collect())),
        layer(
            "added",
            "ideal",
            "requests",
            Shape::Dashes(dashes.collect()),
        ),
    ];
    let most = points.iter().map(|it| added(it).max(ended(it)));
    let y = Scale::linear(most.fold(0.0, f64::max));
    over_time(
        report,
        "Jobs",
        "a second, into the queue and to their end",
        y,
        layers,
    )
}

/// Each status with a colour: that of its hundred, darker for the second one.
fn colours(statuses: &BTreeMap<u16, u64>) -> Vec<(u16, &'static str)> {
    let mut used = BTreeSet::new();
    let colour = |status: u16| {
        let first = used.insert(status / 100);
        match status {
            THROTTLED => "throttled",
            _ => match (status / 100, first) {
                (2, _) => "ok",
                (5, true) => "server",
                (5, false) => "server2",
                (4, true) => "client",
                (4, false) => "client2",
                _ => "none",
            },
        }
    };
    statuses
        .keys()
        .copied()
        .zip(statuses.keys().copied().map(colour))
        .collect()
}

fn percentiles(report: &Report, curve: &Curve, (low, high): (f64, f64)) -> Chart {
    let layer = |name: &str, value: fn(Percentiles) -> f64| Layer {
        name: name.to_owned(),
        colour: match name {
            "p50" => "p50",
            "p95" => "p95",
            _ => "p99",
        },
        of: Some((format!("{}.{name}", curve.path), "ms")),
        shape: Shape::Line(
            report
                .series
                .iter()
                .map(|it| Some((middle(it), value((curve.in_point)(it)?))))
                .collect(),
        ),
    };
    let layers = vec![
        layer("p99", |it| it.p99),
        layer("p95", |it| it.p95),
        layer("p50", |it| it.p50),
    ];
    let y = axis(low, high);
    let note = if y.is_logarithmic() {
        format!("{}, log scale", curve.note)
    } else {
        curve.note.to_owned()
    };
    Chart {
        y_label: latency_tick,
        ..over_time(report, curve.title, &note, y, layers)
    }
}

/// The smallest and the largest latency that is drawn: both plots share their axis.
fn latency_bounds(points: &[Point], curves: &[Curve; 2]) -> (f64, f64) {
    let both = points
        .iter()
        .flat_map(|it| curves.each_ref().map(|curve| (curve.in_point)(it)))
        .flatten();
    let (low, high) = both.fold((f64::INFINITY, 0.0_f64), |(low, high), it| {
        (low.min(it.p50), high.max(it.p99))
    });
    (low.min(high), high)
}

fn axis(low: f64, high: f64) -> Scale {
    if low > 0.0 && high > low * WIDE {
        Scale::logarithmic(low * 0.7, high * 1.2)
    } else {
        Scale::linear(high)
    }
}

fn histogram(report: &Report, [first, second]: &[Curve; 2]) -> Chart {
    let bins = &report.histogram;
    let (least, most) = (
        bins.iter()
            .map(|it| it.above_ms)
            .fold(f64::INFINITY, f64::min),
        bins.iter().map(|it| it.to_ms).fold(0.0, f64::max),
    );
    // A µs is the least that is measured.
    let x = Scale::logarithmic(least.min(most).max(0.001), most);
    let counts = || {
        bins.iter()
            .flat_map(|it| [(first.in_bin)(it), (second.in_bin)(it)])
            .map(real)
    };
    let (high, rare) = (
        counts().fold(0.0, f64::max),
        counts()
            .filter(|it| *it > 0.0)
            .fold(f64::INFINITY, f64::min),
    );
    let y = if high > rare * WIDE {
        Scale::logarithmic(0.5, high * 1.2)
    } else {
        Scale::linear(high)
    };
    let bars = bins
        .iter()
        .map(|it| (it.above_ms, it.to_ms, y.low(), real((first.in_bin)(it))));
    let steps = bins
        .iter()
        .map(|it| (it.above_ms, it.to_ms, real((second.in_bin)(it))));
    let layer = |name: &str, colour, shape| Layer {
        name: name.to_owned(),
        colour,
        of: None,
        shape,
    };
    let what = report.way.counted();
    let note = if y.is_logarithmic() {
        format!("{what} by latency, log scales")
    } else {
        format!("{what} by latency")
    };
    Chart {
        title: "Histogram",
        note,
        x,
        y,
        x_label: latency_tick,
        y_label: plain,
        over_time: false,
        layers: vec![
            layer(first.name, "p50", Shape::Bars(bars.collect())),
            layer(second.name, "p99", Shape::Steps(steps.collect())),
        ],
    }
}

fn users(report: &Report) -> Chart {
    let count = |it: &Point| u32::try_from(it.users).map_or(f64::MAX, f64::from);
    let bars = report
        .series
        .iter()
        .map(|it| (it.from_s, it.until_s, 0.0, count(it)));
    let y = Scale::linear(report.series.iter().map(count).fold(0.0, f64::max));
    let layers = vec![Layer {
        name: "in use".to_owned(),
        colour: "users",
        of: Some(("users".to_owned(), "")),
        shape: Shape::Bars(bars.collect()),
    }];
    let note = format!(
        "at the end of each second; at most {}",
        report.profile.max_users
    );
    over_time(report, "Users", &note, y, layers)
}

fn middle(point: &Point) -> f64 {
    f64::midpoint(point.from_s, point.until_s)
}

fn per_second(count: u64, point: &Point) -> f64 {
    real(count) / point.length().max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_a_hundred_are_told_apart() {
        let statuses = [200, 400, 429, 500, 503].map(|it| (it, 1));
        let colours: Vec<_> = colours(&BTreeMap::from(statuses))
            .into_iter()
            .map(|it| it.1)
            .collect();
        assert_eq!(colours, ["ok", "client", "throttled", "server", "server2"]);
    }

    #[test]
    fn usual_latencies_are_not_flattened_by_a_stall() {
        assert!(axis(20.0, 2_000.0).is_logarithmic());
        assert!(!axis(20.0, 90.0).is_logarithmic());
        assert!(!axis(0.0, 0.0).is_logarithmic());
    }
}
