//! The end-of-test summary, in the order and words that k6's readers know.

use std::fmt::Write;
use std::time::Duration;

use super::histogram::Histogram;
use super::recorder::Recorder;
use super::run::Outcome;
use super::thresholds::Judged;

/// The share of the plan below which a run is no pass.
const ENOUGH_PERCENT: u64 = 95;

/// Why a run is no pass though every threshold held; nothing where it is one. Only what was accepted counts; with
/// `--adapt` a 429 too, for the search for the rate that holds goes by them.
pub fn shortfall(outcome: &Outcome) -> Option<String> {
    let (it, planned) = (&outcome.numbers, outcome.planned);
    let enough = planned * ENOUGH_PERCENT / 100;
    if it.answered == 0 {
        return Some("nothing was answered: this is no result".to_owned());
    }
    if it.errors >= it.requests {
        return Some(format!(
            "all {} requests failed: this is no result",
            it.requests
        ));
    }
    if outcome.interrupted {
        return Some(format!(
            "ended early, and fell short: it was interrupted after {} of {planned} iterations",
            it.completed
        ));
    }
    let expected_429s = outcome.adapt.as_ref().map_or(0, |_| it.throttled());
    let succeeded = it.succeeded();
    (it.completed < enough || succeeded + expected_429s < 2 * enough).then(|| {
        format!(
            "fell short: {} of {planned} iterations complete, {succeeded} of {} requests succeeded",
            it.completed,
            2 * planned
        )
    })
}

/// What to do about iterations that found no user; nothing where there were none.
pub fn advice(it: &Recorder, planned_peak: f64, max_users: usize) -> Option<String> {
    if it.dropped == 0 {
        return None;
    }
    // Little's law: users needed = rate x time in an iteration; a half more for its spread.
    let needed = planned_peak * it.iterations.percentile(95.0) / 1_000.0 * 1.5;
    let needed = needed
        .ceil()
        .max(f64::from(u32::try_from(max_users).unwrap_or(u32::MAX)) * 2.0);
    Some(format!(
        "{} iterations dropped: all {max_users} users were busy. Raise both numbers: --max-users {needed} \
         --pre-allocated-users {}",
        it.dropped,
        (needed / 2.0).ceil()
    ))
}

/// The whole text.
pub fn text(it: &Recorder, judged: &[Judged], elapsed: Duration) -> String {
    let mut out = String::new();
    let seconds = elapsed.as_secs_f64().max(0.001);
    section(&mut out, "THRESHOLDS");
    for judged in judged {
        let mark = if judged.held { '✓' } else { '✗' };
        let Judged {
            threshold, value, ..
        } = judged;
        line(
            &mut out,
            threshold.metric,
            &format!("{mark} '{}' value={value:.2}", threshold.expression),
        );
    }
    section(&mut out, "TOTAL RESULTS");
    line(&mut out, "checks_total", &rated(it.requests, seconds));
    let passed = it.requests - it.errors;
    line(&mut out, "checks_succeeded", &part(passed, it.requests));
    line(&mut out, "checks_failed", &part(it.errors, it.requests));
    let track_errors = it.errors - it.identify_errors;
    for (name, failed) in [
        ("identify 200", it.identify_errors),
        ("track 200", track_errors),
    ] {
        let mark = if failed == 0 { '✓' } else { '✗' };
        line(
            &mut out,
            &format!("{mark} {name}"),
            &format!("{failed} failed"),
        );
    }
    if it.enqueue.count() > 0 {
        queue(&mut out, it, seconds);
    } else {
        requests(&mut out, it, seconds);
    }
    section(&mut out, "EXECUTION");
    trend(&mut out, "iteration_duration", &it.iterations);
    line(&mut out, "iterations", &rated(it.completed, seconds));
    line(&mut out, "dropped_iterations", &it.dropped.to_string());
    line(&mut out, "vus", &it.users_when_due.to_string());
    line(&mut out, "vus_max", &it.allocated.to_string());
    if it.enqueue.count() == 0 {
        section(&mut out, "NETWORK (bodies alone)");
        line(&mut out, "data_received", &bytes(it.received, seconds));
        line(&mut out, "data_sent", &bytes(it.sent, seconds));
    }
    out
}

fn requests(out: &mut String, it: &Recorder, seconds: f64) {
    section(out, "LATENCY from send");
    trend(out, "cio_identify_latency", &it.identify.from_send);
    trend(out, "cio_track_latency", &it.track.from_send);
    trend(out, "http_req_duration", &it.all);
    trend(out, "  { expected_response:true }", &it.expected);
    section(out, "LATENCY from schedule");
    let (identify, track) = (&it.identify.from_schedule, &it.track.from_schedule);
    trend(out, "cio_identify_latency_from_schedule", identify);
    trend(out, "cio_track_latency_from_schedule", track);
    section(out, "HTTP");
    line(out, "http_req_failed", &part(it.errors, it.requests));
    line(out, "http_reqs", &rated(it.requests, seconds));
    line(out, "cio_errors", &it.errors.to_string());
    let throttled = percent(it.throttled(), it.requests);
    let throttled = format!("{} ({throttled:.2}%)", it.throttled());
    line(out, "answered with 429", &throttled);
    let statuses = it.statuses.iter().map(|(s, n)| format!("{s}: {n}"));
    let statuses: Vec<String> = statuses.collect();
    line(out, "statuses", &statuses.join(", "));
}

fn queue(out: &mut String, it: &Recorder, seconds: f64) {
    section(out, "QUEUE");
    trend(out, "cio_enqueue_latency", &it.enqueue);
    trend(out, "cio_processing_lag", &it.lag);
    line(out, "jobs enqueued", &rated(it.enqueue.count(), seconds));
    line(out, "jobs completed", &rated(it.lag.count(), seconds));
    line(out, "cio_errors", &it.errors.to_string());
}

fn section(out: &mut String, name: &str) {
    // Writing to a string cannot fail.
    writeln!(out, "\n  █ {name}\n").unwrap_or_default();
}

fn line(out: &mut String, name: &str, value: &str) {
    writeln!(out, "    {name:.<38}: {value}").unwrap_or_default();
}

fn trend(out: &mut String, name: &str, it: &Histogram) {
    let value = format!(
        "avg={:.2}ms min={:.2}ms med={:.2}ms max={:.2}ms p(90)={:.2}ms p(95)={:.2}ms p(99)={:.2}ms",
        it.mean(),
        it.min(),
        it.percentile(50.0),
        it.max(),
        it.percentile(90.0),
        it.percentile(95.0),
        it.percentile(99.0)
    );
    line(out, name, &value);
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn rated(count: u64, seconds: f64) -> String {
    format!("{count} {:.2}/s", count as f64 / seconds)
}

/// As k6 writes a rate.
fn part(part: u64, whole: u64) -> String {
    format!("{:.2}% {part} out of {whole}", percent(part, whole))
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn bytes(count: u64, seconds: f64) -> String {
    let rate = count as f64 / seconds;
    format!("{} {}/s", scaled(count as f64), scaled(rate))
}

/// Bytes in the largest unit that leaves something before the point.
fn scaled(bytes: f64) -> String {
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        ..1e6 => format!("{:.1} kB", bytes / 1e3),
        ..1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

/// `part` of `whole` in percent; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::operation::Kind;
    use crate::loadtest::adapt::Adapt;
    use crate::loadtest::recorder::Exchange;

    /// A run of 100 planned iterations whose requests got `statuses`.
    fn outcome(completed: u64, statuses: &[(u16, u64)]) -> Outcome {
        let mut numbers = Recorder {
            completed,
            ..Recorder::default()
        };
        for (status, count) in statuses {
            for _ in 0..*count {
                numbers.exchange(Exchange {
                    kind: Kind::Track,
                    status: Some(*status),
                    from_send: Duration::from_millis(20),
                    from_schedule: Duration::from_millis(20),
                    timed_out: false,
                    sent: 0,
                    received: 0,
                });
            }
        }
        Outcome {
            numbers,
            judged: Vec::new(),
            elapsed: Duration::from_secs(1),
            planned: 100,
            adapt: None,
            interrupted: false,
            unfinished: None,
        }
    }

    #[test]
    fn only_a_run_whose_plan_was_accepted_is_a_pass() {
        for (completed, statuses, passes) in [
            (0, &[][..], false),
            (94, &[(200, 200)], false),
            (95, &[(200, 190)], true),
            (100, &[(200, 189)], false),
            (100, &[(200, 189), (500, 11)], false),
            (100, &[(200, 190), (500, 10)], true),
            (100, &[(429, 200)], false),
        ] {
            let reason = shortfall(&outcome(completed, statuses));
            assert_eq!(
                reason.is_none(),
                passes,
                "{completed} {statuses:?} {reason:?}"
            );
        }
    }

    #[test]
    fn an_interrupted_run_is_no_pass_whatever_it_reached() {
        let mut it = outcome(99, &[(200, 199)]);
        assert_eq!(shortfall(&it), None);
        it.interrupted = true;
        assert!(shortfall(&it).unwrap().contains("interrupted after 99 of"));
    }

    #[test]
    fn a_job_that_failed_is_none_of_the_plan() {
        let mut it = outcome(100, &[]);
        for nth in 0..200 {
            it.numbers
                .enqueued(Kind::Track, Some(Duration::from_millis(1)));
            let completed = (nth < 150).then_some(Duration::from_millis(9));
            it.numbers.ended(Kind::Track, completed);
        }
        let reason = shortfall(&it).unwrap();
        assert!(reason.contains("150 of 200 requests succeeded"), "{reason}");
    }

    #[test]
    fn a_rate_that_fell_at_429s_is_a_pass_but_not_where_nothing_else_came() {
        let mut it = outcome(100, &[(200, 150), (429, 50)]);
        assert!(shortfall(&it).is_some());
        it.adapt = Some(Adapt::default());
        assert_eq!(shortfall(&it), None);
        let mut it = outcome(100, &[(429, 200)]);
        it.adapt = Some(Adapt::default());
        assert!(shortfall(&it).unwrap().contains("no result"));
    }

    #[test]
    fn dropped_iterations_name_the_numbers_to_raise() {
        let it = Recorder {
            dropped: 3,
            ..Recorder::default()
        };
        let advice = advice(&it, 80.0, 50).unwrap();
        assert!(
            advice.contains("--max-users 100 --pre-allocated-users 50"),
            "{advice}"
        );
    }

    #[test]
    fn the_summary_has_the_lines_that_k6s_readers_look_for() {
        let mut it = Recorder::default();
        for (status, ms) in [(200, 20), (200, 30), (200, 40), (500, 900)] {
            it.exchange(Exchange {
                kind: Kind::Track,
                status: Some(status),
                from_send: Duration::from_millis(ms),
                from_schedule: Duration::from_millis(ms),
                timed_out: false,
                sent: 300,
                received: 2,
            });
        }
        let text = text(&it, &[], Duration::from_secs(2));
        let value = |name: &str| {
            let named = |line: &&str| line.trim_start().starts_with(&format!("{name}."));
            let line = text.lines().find(named);
            let line = line.unwrap_or_else(|| panic!("{name}: {text}"));
            line.split_once(": ").unwrap().1.to_owned()
        };
        for (name, expected) in [
            ("checks_total", "4 2.00/s"),
            ("checks_succeeded", "75.00% 3 out of 4"),
            ("checks_failed", "25.00% 1 out of 4"),
            ("http_req_failed", "25.00% 1 out of 4"),
            ("http_reqs", "4 2.00/s"),
            ("data_sent", "1.2 kB 600 B/s"),
            ("data_received", "8 B 4 B/s"),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
        let slowest = |line: String| {
            let max = line.split_once("max=").unwrap().1;
            max.split_once("ms").unwrap().0.parse::<f64>().unwrap()
        };
        assert!(slowest(value("http_req_duration")) >= 900.0);
        let expected = text
            .lines()
            .find(|it| it.contains("expected_response:true"));
        assert!(slowest(expected.unwrap().to_owned()) < 50.0, "{text}");
    }
}
