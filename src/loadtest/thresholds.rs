//! Thresholds in k6's grammar: `METRIC: METHOD OP NUMBER`, refused before the run when wrong.

use std::time::Duration;

use super::histogram::Histogram;
use super::profile::duration;
use super::recorder::Recorder;

/// The guide's thresholds.
pub const DEFAULTS: [&str; 5] = [
    "cio_identify_latency: p(95)<500",
    "cio_identify_latency: p(99)<2000",
    "cio_track_latency: p(95)<500",
    "cio_track_latency: p(99)<2000",
    "cio_errors: count<50",
];

/// Those of a run through the queue, where nothing is sent.
pub const QUEUE_DEFAULTS: [&str; 2] = ["cio_enqueue_latency: p(95)<500", "cio_errors: count<50"];

/// Metrics of a run through the queue alone.
const OF_QUEUE: [&str; 2] = ["cio_enqueue_latency", "cio_processing_lag"];
/// What the metrics of a run that sends begin with.
const OF_REQUESTS: [&str; 3] = [
    "cio_identify_latency",
    "cio_track_latency",
    "http_req_duration",
];

/// Metric and whether it is a trend, a counter, a rate or a gauge.
const METRICS: [(&str, Type); 15] = [
    ("cio_identify_latency", Type::Trend),
    ("cio_identify_latency_from_schedule", Type::Trend),
    ("cio_track_latency", Type::Trend),
    ("cio_track_latency_from_schedule", Type::Trend),
    ("cio_enqueue_latency", Type::Trend),
    ("cio_processing_lag", Type::Trend),
    ("cio_errors", Type::Counter),
    ("http_req_duration", Type::Trend),
    ("http_req_failed", Type::Rate),
    ("http_reqs", Type::Counter),
    ("checks", Type::Rate),
    ("iterations", Type::Counter),
    ("iteration_duration", Type::Trend),
    ("dropped_iterations", Type::Counter),
    ("vus", Type::Gauge),
];
/// Longest first: `<` would match the beginning of `<=`.
const OPERATORS: [&str; 7] = ["===", "==", "!=", "<=", ">=", "<", ">"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Trend,
    Counter,
    Rate,
    Gauge,
}

impl Type {
    fn methods(self) -> &'static str {
        match self {
            Self::Trend => "avg, min, max, med, p(N)",
            Self::Counter => "count, rate",
            Self::Rate => "rate",
            Self::Gauge => "value",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Method {
    Avg,
    Min,
    Max,
    Percentile(f64),
    Count,
    Rate,
    Value,
}

/// Why a threshold is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// There is no such metric.
    #[error("threshold {0:?}: no metric {1:?}; there are {2}")]
    FindMetric(String, String, String),
    /// The metric has no such method.
    #[error("threshold {0:?}: cannot take {1:?} of this metric; it has {2}")]
    FindMethod(String, String, &'static str),
    /// It is not of the form.
    #[error(
        "threshold {0:?}: write 'METRIC: METHOD OP NUMBER', for example 'cio_identify_latency: p(95)<500', \
         with abortOnFail and delayAbortEval=10s after it where wanted; OP is one of < <= > >= == === !="
    )]
    Parse(String),
}

/// One threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The metric's name.
    pub metric: &'static str,
    /// The expression as written.
    pub expression: String,
    method: Method,
    operator: &'static str,
    number: f64,
    abort_after: Option<Duration>,
}

/// A threshold with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Which.
    pub threshold: Threshold,
    /// What it was measured to be.
    pub value: f64,
    /// Whether it held.
    pub held: bool,
    /// Whether anything was measured: k6 aborts at no metric that is still empty.
    measured: bool,
}

/// Looks at thresholds during a run. What ended it stays crossed, whatever its value is in the end.
#[derive(Debug)]
pub struct Watch {
    thresholds: Vec<Threshold>,
    /// Those that ended the run, as they were then.
    ended_it: Vec<Option<Judged>>,
}

impl Watch {
    /// Over these.
    pub fn new(thresholds: Vec<Threshold>) -> Self {
        Self {
            thresholds,
            ended_it: Vec::new(),
        }
    }

    /// Whether the run is to end, now or since an earlier look.
    pub fn aborts(&mut self, numbers: &Recorder, elapsed: Duration) -> bool {
        if self.ended_it.is_empty() {
            let judged = judge(&self.thresholds, numbers, elapsed);
            let ended_it = judged
                .into_iter()
                .map(|it| it.aborts(elapsed).then_some(it));
            let ended_it: Vec<_> = ended_it.collect();
            if ended_it.iter().any(Option::is_some) {
                self.ended_it = ended_it;
            }
        }
        !self.ended_it.is_empty()
    }

    /// All of them at the run's end.
    pub fn at_end(self, numbers: &Recorder, elapsed: Duration) -> Vec<Judged> {
        let mut judged = judge(&self.thresholds, numbers, elapsed);
        for (now, then) in judged.iter_mut().zip(self.ended_it) {
            if let Some(then) = then {
                *now = then;
            }
        }
        judged
    }
}

/// Reads one, as `--threshold` takes it.
pub fn parse(text: &str) -> Result<Threshold, ThresholdError> {
    let malformed = || ThresholdError::Parse(text.to_owned());
    let (metric, rest) = text.split_once(':').ok_or_else(malformed)?;
    let known = METRICS.iter().find(|(name, _)| *name == metric.trim());
    let (metric, kind) = *known.ok_or_else(|| {
        let names: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
        ThresholdError::FindMetric(text.to_owned(), metric.trim().to_owned(), names.join(", "))
    })?;
    let (expression, abort_after) = options(rest).ok_or_else(malformed)?;
    let operator = OPERATORS.iter().find(|it| expression.contains(**it));
    let operator = *operator.ok_or_else(malformed)?;
    let (left, right) = expression.split_once(operator).ok_or_else(malformed)?;
    let number: f64 = right.trim().parse().map_err(|_| malformed())?;
    if !number.is_finite() {
        return Err(malformed());
    }
    let unknown =
        || ThresholdError::FindMethod(text.to_owned(), left.trim().to_owned(), kind.methods());
    Ok(Threshold {
        metric,
        method: method(kind, left.trim()).ok_or_else(unknown)?,
        operator,
        number,
        abort_after,
        expression,
    })
}

/// The expression, and after how long its failure ends the run.
fn options(text: &str) -> Option<(String, Option<Duration>)> {
    let (mut abort, mut delay, mut words) = (false, Duration::ZERO, Vec::new());
    for word in text.split_whitespace() {
        match word.strip_prefix("delayAbortEval=") {
            Some(after) => delay = delay_of(after)?,
            None if word == "abortOnFail" => abort = true,
            None => words.push(word),
        }
    }
    Some((words.join(" "), abort.then_some(delay)))
}

/// A duration, or milliseconds alone, as k6 takes both.
fn delay_of(text: &str) -> Option<Duration> {
    let ms = text.parse().ok().map(Duration::from_millis);
    ms.or_else(|| duration::parse(text).ok())
}

fn method(kind: Type, text: &str) -> Option<Method> {
    match (kind, text) {
        (Type::Trend, "avg") => Some(Method::Avg),
        (Type::Trend, "min") => Some(Method::Min),
        (Type::Trend, "max") => Some(Method::Max),
        (Type::Trend, "med") => Some(Method::Percentile(50.0)),
        (Type::Trend, _) => {
            let inner = text.strip_prefix("p(")?.strip_suffix(')')?;
            let digits = inner.bytes().all(|it| it.is_ascii_digit() || it == b'.');
            let percent = inner.parse().ok().filter(|it| (0.0..=100.0).contains(it))?;
            digits.then_some(Method::Percentile(percent))
        }
        (Type::Counter, "count") => Some(Method::Count),
        (Type::Counter | Type::Rate, "rate") => Some(Method::Rate),
        (Type::Gauge, "value") => Some(Method::Value),
        _ => None,
    }
}

/// Judges all of them.
pub fn judge(thresholds: &[Threshold], numbers: &Recorder, elapsed: Duration) -> Vec<Judged> {
    let judged = |threshold: &Threshold| {
        let value = threshold.value(numbers, elapsed.as_secs_f64());
        Judged {
            threshold: threshold.clone(),
            held: value.is_some_and(|value| threshold.holds(value)),
            measured: value.is_some() && !threshold.is_untouched(numbers),
            value: value.unwrap_or(0.0),
        }
    };
    thresholds.iter().map(judged).collect()
}

impl Judged {
    /// Whether the run is to end now.
    fn aborts(&self, elapsed: Duration) -> bool {
        !self.held
            && self.measured
            && self
                .threshold
                .abort_after
                .is_some_and(|after| elapsed >= after)
    }
}

impl Threshold {
    /// Whether a run measures it: through the queue, or by its own requests.
    pub fn is_measured(&self, through_queue: bool) -> bool {
        if through_queue {
            !OF_REQUESTS.iter().any(|it| self.metric.starts_with(it))
        } else {
            !OF_QUEUE.contains(&self.metric)
        }
    }

    /// Nothing where nothing was measured, which is no pass.
    fn value(&self, it: &Recorder, seconds: f64) -> Option<f64> {
        match self.metric {
            "cio_identify_latency" => self.of_trend(&it.identify.from_send),
            "cio_identify_latency_from_schedule" => self.of_trend(&it.identify.from_schedule),
            "cio_track_latency" => self.of_trend(&it.track.from_send),
            "cio_track_latency_from_schedule" => self.of_trend(&it.track.from_schedule),
            "cio_enqueue_latency" => self.of_trend(&it.enqueue),
            "cio_processing_lag" => self.of_trend(&it.lag),
            "http_req_duration" => self.of_trend(&it.all),
            "iteration_duration" => self.of_trend(&it.iterations),
            "http_req_failed" => share(it.errors, it.requests),
            "checks" => share(it.requests - it.errors, it.requests),
            "vus" => Some(real(it.users_when_due as u64)),
            _ => Some(self.of_counter(self.counter(it), seconds)),
        }
    }

    fn counter(&self, it: &Recorder) -> u64 {
        match self.metric {
            "cio_errors" => it.errors,
            "http_reqs" => it.requests,
            "iterations" => it.completed,
            _ => it.dropped,
        }
    }

    /// Whether it is of a counter that nothing was added to yet.
    fn is_untouched(&self, it: &Recorder) -> bool {
        let of_counter = METRICS.contains(&(self.metric, Type::Counter));
        of_counter && self.counter(it) == 0
    }

    fn of_trend(&self, histogram: &Histogram) -> Option<f64> {
        (histogram.count() > 0).then(|| match self.method {
            Method::Avg => histogram.mean(),
            Method::Min => histogram.min(),
            Method::Percentile(percent) => histogram.percentile(percent),
            _ => histogram.max(),
        })
    }

    fn of_counter(&self, count: u64, seconds: f64) -> f64 {
        match self.method {
            Method::Rate if seconds > 0.0 => real(count) / seconds,
            Method::Rate => 0.0,
            _ => real(count),
        }
    }

    fn holds(&self, value: f64) -> bool {
        match self.operator {
            "<" => value < self.number,
            "<=" => value <= self.number,
            ">" => value > self.number,
            ">=" => value >= self.number,
            "!=" => (value - self.number).abs() > f64::EPSILON,
            _ => (value - self.number).abs() <= f64::EPSILON,
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| real(part) / real(whole))
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k6s_grammar_is_read_or_refused_with_what_is_allowed() {
        for text in [
            "cio_errors: count<50",
            "cio_track_latency:p(99.9) <= 5e2",
            "checks: rate===1",
            "vus: value != 3",
            "cio_errors: count < 9 abortOnFail delayAbortEval=10s",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for (text, part) in [
            ("cio_errors: p(95)<5", "count, rate"),
            ("nothing: count<5", "cio_errors"),
            ("cio_track_latency: p(101)<5", "p(N)"),
            ("cio_track_latency: p( 95 )<5", "p(N)"),
            ("cio_errors: count<NaN", "METHOD OP NUMBER"),
            ("cio_track_latency: p(95)<500ms", "METHOD OP NUMBER"),
            ("cio_errors: count<1 && count>0", "METHOD OP NUMBER"),
            ("cio_errors", "METHOD OP NUMBER"),
            ("http_reqs{status:200}: count>1", "no metric"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    fn all(texts: &[&str]) -> Vec<Threshold> {
        texts.iter().map(|text| parse(text).unwrap()).collect()
    }

    #[test]
    fn a_trend_without_a_value_never_holds() {
        let thresholds = all(&["cio_track_latency: p(95)<500", DEFAULTS[4]]);
        let judged = judge(&thresholds, &Recorder::default(), Duration::from_secs(1));
        assert_eq!((judged[0].held, judged[1].held), (false, true));
    }

    #[test]
    fn nothing_ends_a_run_before_its_delay_or_before_anything_was_measured() {
        let mut slow = Recorder {
            requests: 1,
            ..Recorder::default()
        };
        slow.all.record(Duration::from_secs(1));
        let second = Duration::from_secs(1);
        for (text, numbers, at, ends) in [
            ("http_req_duration: max<500 abortOnFail", &slow, 0, true),
            ("http_req_duration: max<500", &slow, 60, false),
            ("cio_track_latency: max<500 abortOnFail", &slow, 60, false),
            (
                "http_req_failed: rate>1 abortOnFail",
                &Recorder::default(),
                60,
                false,
            ),
            (
                "http_reqs: count>9 abortOnFail",
                &Recorder::default(),
                60,
                false,
            ),
            ("http_reqs: count>9 abortOnFail", &slow, 60, true),
            (
                "http_reqs: count>9 abortOnFail delayAbortEval=10s",
                &slow,
                9,
                false,
            ),
            (
                "http_reqs: count>9 abortOnFail delayAbortEval=10s",
                &slow,
                10,
                true,
            ),
            (
                "http_reqs: count>9 abortOnFail delayAbortEval=10000",
                &slow,
                9,
                false,
            ),
            (
                "http_reqs: count>9 abortOnFail delayAbortEval=10000",
                &slow,
                10,
                true,
            ),
        ] {
            let mut watch = Watch::new(all(&[text]));
            assert_eq!(watch.aborts(numbers, second * at), ends, "{text} at {at}");
        }
    }

    #[test]
    fn what_ended_a_run_stays_crossed_with_the_value_it_had() {
        let mut watch = Watch::new(all(&[
            "http_reqs: count>9 abortOnFail",
            "http_reqs: count>9",
        ]));
        let numbers = |requests| Recorder {
            requests,
            ..Recorder::default()
        };
        let second = Duration::from_secs(1);
        assert!(watch.aborts(&numbers(9), second));
        assert!(watch.aborts(&numbers(12), 2 * second));
        let judged = watch.at_end(&numbers(12), 2 * second);
        let seen: Vec<_> = judged.iter().map(|it| (it.held, it.value)).collect();
        assert_eq!(seen, [(false, 9.0), (true, 12.0)]);
    }
}
