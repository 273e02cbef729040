//! What got worse since an earlier run, and what better.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::curves;
use super::document::{Outcome, Report, Trend, Way};

/// A latency that moved by less is the machine's own noise, in ms.
const LEAST_MS: f64 = 1.0;
/// Likewise, of a share in percent of the whole.
const LEAST_SHARE: f64 = 0.1;

/// This run against an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The earlier run's id.
    pub baseline: String,
    /// By how many percent a number may be worse.
    pub tolerance_percent: f64,
    /// Number by number.
    pub differences: Vec<Difference>,
}

/// One number, before and now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is of.
    pub name: String,
    /// `ms`, `%` or `/s`.
    pub unit: String,
    /// Before.
    pub before: f64,
    /// Now.
    pub after: f64,
    /// What came of it.
    pub judgement: Judgement,
}

/// What came of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Within the tolerance.
    Same,
    /// Better by more than that.
    Better,
    /// Worse by more than that.
    Worse,
}

/// Compares `after` with `before`, and notes it there: a run that passed has not when it got worse.
pub fn compare(before: &Report, after: &mut Report, tolerance_percent: f64) {
    let rows = numbers(before).into_iter().zip(numbers(after));
    let differences = rows.map(|(before, after)| Difference {
        judgement: before.judge(after.value, tolerance_percent / 100.0),
        name: before.name,
        unit: before.unit.to_owned(),
        before: before.value,
        after: after.value,
    });
    let comparison = Comparison {
        baseline: before.run.clone(),
        tolerance_percent,
        differences: differences.collect(),
    };
    let worse: Vec<String> = comparison.worse().map(Difference::shown).collect();
    if !worse.is_empty() {
        if after.verdict.outcome == Outcome::Passed {
            after.verdict.outcome = Outcome::GotWorse;
        }
        after.verdict.reasons.extend(worse);
    }
    after.comparison = Some(comparison);
}

/// A number that is compared.
struct Number {
    name: String,
    unit: &'static str,
    value: f64,
    /// A change of less than this is none.
    least: f64,
    more_is_better: bool,
}

impl Number {
    fn judge(&self, after: f64, tolerance: f64) -> Judgement {
        let grown = after - self.value;
        if grown.abs() < self.least || grown.abs() <= self.value.abs() * tolerance {
            Judgement::Same
        } else if (grown > 0.0) == self.more_is_better {
            Judgement::Better
        } else {
            Judgement::Worse
        }
    }
}

fn numbers(report: &Report) -> Vec<Number> {
    let totals = &report.totals;
    let number = |name: &str, unit, value, least, more_is_better| Number {
        name: name.to_owned(),
        unit,
        value,
        least,
        more_is_better,
    };
    let share = |name, share: f64| number(name, "%", share * 100.0, LEAST_SHARE, false);
    let latency = |name: &str, it: Trend| {
        let of = |percentile: &str, value| {
            number(
                &format!("latency {name} {percentile}"),
                "ms",
                value,
                LEAST_MS,
                false,
            )
        };
        [of("p50", it.p50), of("p95", it.p95), of("p99", it.p99)]
    };
    let mut numbers = Vec::with_capacity(10);
    for curve in curves::of(report.way) {
        numbers.extend(latency(curve.name, (curve.in_all)(&report.latencies)));
    }
    numbers.push(share("errors", totals.error_share));
    // Through the queue no answer is seen.
    if report.way == Way::Api {
        numbers.push(share("answered with 429", totals.throttled_share));
    }
    numbers.push(share("dropped iterations", totals.dropped_share));
    numbers.push(number(
        "iterations completed",
        "/s",
        totals.iterations_per_second,
        0.0,
        true,
    ));
    numbers
}

impl Difference {
    /// By how many percent it grew; nothing where it was 0.
    pub fn grown_percent(&self) -> Option<f64> {
        (self.before > 0.0).then(|| (self.after - self.before) / self.before * 100.0)
    }

    /// In words: `latency from send p95 21.00 ms → 44.10 ms (+110 %)`.
    pub fn shown(&self) -> String {
        let Self {
            name,
            unit,
            before,
            after,
            ..
        } = self;
        let space = if unit == "/s" { "" } else { " " };
        let grown = self.grown_percent();
        let grown = grown.map_or_else(String::new, |it| format!(" ({it:+.0} %)"));
        format!("{name} {before:.2}{space}{unit} → {after:.2}{space}{unit}{grown}")
    }
}

impl Comparison {
    /// What got worse by more than is tolerated.
    pub fn worse(&self) -> impl Iterator<Item = &Difference> {
        let worse = |it: &&Difference| it.judgement == Judgement::Worse;
        self.differences.iter().filter(worse)
    }

    /// A section for the summary.
    pub fn text(&self) -> String {
        let mut out = format!(
            "\n  █ BASELINE {}, tolerance {} %\n\n",
            self.baseline, self.tolerance_percent
        );
        for it in &self.differences {
            let (mark, word) = match it.judgement {
                Judgement::Same => (' ', "same"),
                Judgement::Better => ('✓', "better"),
                Judgement::Worse => ('✗', "worse"),
            };
            // Writing to a string cannot fail.
            writeln!(out, "    {mark} {word:<7}{}", it.shown()).unwrap_or_default();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// What becomes of a number that was `before`.
    fn judged(unit: &str, before: f64, after: f64) -> Judgement {
        let of = |report: &mut Report, value: f64| match unit {
            "ms" => report.latencies.all.from_schedule.p99 = value,
            "%" => report.totals.error_share = value / 100.0,
            _ => report.totals.iterations_per_second = value,
        };
        let (mut baseline, mut now) = (sample::report(), sample::report());
        of(&mut baseline, before);
        of(&mut now, after);
        compare(&baseline, &mut now, 10.0);
        let mut changed = now.comparison.unwrap().differences;
        changed.retain(|it| it.before.to_bits() != it.after.to_bits());
        assert!(changed.len() <= 1, "{changed:?}");
        changed.pop().map_or(Judgement::Same, |it| it.judgement)
    }

    #[test]
    fn only_what_moved_past_the_tolerance_and_the_noise_got_worse_or_better() {
        use Judgement::{Better, Same, Worse};
        for (unit, before, after, judgement) in [
            ("ms", 100.0, 110.0, Same),
            ("ms", 100.0, 111.0, Worse),
            ("ms", 100.0, 89.0, Better),
            ("ms", 0.5, 1.4, Same),
            ("ms", 0.5, 1.6, Worse),
            ("%", 0.0, 0.05, Same),
            ("%", 0.0, 0.2, Worse),
            ("%", 5.0, 1.0, Better),
            ("/s", 50.0, 46.0, Same),
            ("/s", 50.0, 44.0, Worse),
            ("/s", 50.0, 56.0, Better),
        ] {
            assert_eq!(
                judged(unit, before, after),
                judgement,
                "{before} {after} {unit}"
            );
        }
    }

    #[test]
    fn through_the_queue_its_latencies_are_compared() {
        let baseline = sample::queued();
        let mut now = baseline.clone();
        now.latencies.lag = baseline.latencies.lag.map(|it| super::Trend {
            p99: it.p99 * 2.0,
            ..it
        });
        compare(&baseline, &mut now, 10.0);
        let worse: Vec<_> = now.comparison.iter().flat_map(Comparison::worse).collect();
        assert_eq!(worse.len(), 1, "{worse:?}");
        assert_eq!(worse[0].name, "latency to acceptance p99");
    }

    #[test]
    fn a_run_that_passed_and_got_worse_is_no_pass_and_says_by_how_much() {
        let (baseline, mut now) = (sample::report(), sample::report());
        now.verdict = super::super::Verdict {
            outcome: Outcome::Passed,
            reasons: Vec::new(),
        };
        let mut same = now.clone();
        now.latencies.all.from_send.p95 = baseline.latencies.all.from_send.p95 * 3.0;
        compare(&baseline, &mut now, 10.0);
        compare(&baseline, &mut same, 10.0);
        assert_eq!(
            (now.verdict.outcome, same.verdict.outcome),
            (Outcome::GotWorse, Outcome::Passed)
        );
        assert!(
            now.verdict.reasons[0].contains("(+200 %)"),
            "{:?}",
            now.verdict
        );
        assert!(
            now.comparison
                .unwrap()
                .text()
                .contains("✗ worse  latency from send p95")
        );
    }
}
