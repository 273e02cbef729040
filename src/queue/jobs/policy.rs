//! What a job's options say of failing and of being kept, read leniently: an option that makes no
//! sense is as if it were not there, so that it never keeps a job from being finished.

use std::time::Duration;

use serde_json::{Map, Value};

/// Longer ones are shortened: a time in ms must stay an exact number in Redis.
const LONGEST_BACKOFF: Duration = Duration::from_hours(365 * 24);
/// A backoff that the producer left to a function of its own worker's.
const CUSTOM_BACKOFF: Duration = Duration::from_secs(1);

/// What becomes of a job that failed, and how long it is kept when it is finished.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    /// How often it is tried; 0 and 1 are once.
    pub attempts: u32,
    /// The pause before it is tried again.
    pub backoff: Backoff,
    /// Whether a job that is tried again without a pause goes in front of the others.
    pub lifo: bool,
    /// Stack traces that are kept, the latest; all where it says nothing.
    pub stacks: Option<usize>,
    /// Where it says nothing, the worker's setting holds.
    pub keep_completed: Option<Keep>,
    /// Likewise.
    pub keep_failed: Option<Keep>,
    /// What its producer's telemetry wrote: its span, as JSON.
    pub telemetry: Option<String>,
}

/// The pause between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Backoff {
    /// Before jitter; doubling from failure to failure where `exponential`.
    pub delay: Duration,
    /// Whether it doubles.
    pub exponential: bool,
    /// The share of it, 0 to 1, that is left to chance.
    pub jitter: f64,
}

/// Finished jobs that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many, the latest; all where it says nothing.
    pub count: Option<usize>,
    /// None older than so many seconds.
    pub age: Option<u64>,
}

impl Policy {
    /// Reads the `opts` of a job's hash.
    pub fn read(opts: &[u8]) -> Self {
        let Ok(Value::Object(opts)) = serde_json::from_slice(opts) else {
            return Self::default();
        };
        Self {
            attempts: natural(opts.get("attempts"))
                .map_or(0, |it| u32::try_from(it).unwrap_or(u32::MAX)),
            backoff: backoff(opts.get("backoff")),
            lifo: opts.get("lifo") == Some(&Value::Bool(true)),
            stacks: size(opts.get("stackTraceLimit")),
            keep_completed: keep(opts.get("removeOnComplete")),
            keep_failed: keep(opts.get("removeOnFail")),
            telemetry: opts.get("tm").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// Whether the attempt after `made` others is the last.
    pub fn is_last(&self, made: u32) -> bool {
        made.saturating_add(1) >= self.attempts
    }
}

impl Backoff {
    /// The pause after the `failures`th failure (1 for the first). `chance` is from 0 to 1.
    pub fn pause(&self, failures: u32, chance: f64) -> Duration {
        let doublings = if self.exponential {
            failures.saturating_sub(1).min(40)
        } else {
            0
        };
        let factor = 2_f64.powi(doublings.cast_signed());
        let full = (self.delay.as_secs_f64() * factor).min(LONGEST_BACKOFF.as_secs_f64());
        Duration::from_secs_f64(full * (1.0 - self.jitter * (1.0 - chance)))
    }
}

fn backoff(option: Option<&Value>) -> Backoff {
    let Some(Value::Object(option)) = option else {
        return Backoff {
            delay: milliseconds(option).unwrap_or_default(),
            ..Backoff::default()
        };
    };
    let delay = milliseconds(option.get("delay"));
    let kind = option.get("type").and_then(Value::as_str);
    Backoff {
        delay: match kind {
            Some("fixed" | "exponential") => delay.unwrap_or_default(),
            _ => delay.unwrap_or(CUSTOM_BACKOFF),
        },
        exponential: kind == Some("exponential"),
        jitter: option
            .get("jitter")
            .and_then(Value::as_f64)
            .map_or(0.0, |it| it.clamp(0.0, 1.0)),
    }
}

fn keep(option: Option<&Value>) -> Option<Keep> {
    match option? {
        Value::Bool(true) => Some(Keep {
            count: Some(0),
            age: None,
        }),
        Value::Bool(false) => Some(Keep {
            count: None,
            age: None,
        }),
        Value::Object(option) => Some(keep_object(option)),
        count => size(Some(count)).map(|count| Keep {
            count: Some(count),
            age: None,
        }),
    }
}

fn keep_object(option: &Map<String, Value>) -> Keep {
    Keep {
        count: size(option.get("count")),
        age: natural(option.get("age")),
    }
}

fn milliseconds(value: Option<&Value>) -> Option<Duration> {
    natural(value).map(Duration::from_millis)
}

fn size(value: Option<&Value>) -> Option<usize> {
    natural(value).and_then(|it| usize::try_from(it).ok())
}

/// A number from 0 up; JavaScript writes all of them as floating point ones.
fn natural(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|it| *it >= 0.0)?;
        Some(Duration::try_from_secs_f64(number).map_or(u64::MAX, |it| it.as_secs()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(opts: &str) -> Policy {
        Policy::read(opts.as_bytes())
    }

    #[test]
    fn the_guide_s_options_are_understood() {
        let policy = read(
            r#"{"attempts":5,"backoff":{"type":"exponential","delay":200},
                "removeOnComplete":10000,"removeOnFail":50000}"#,
        );
        let pauses = [1, 2, 3, 4].map(|failures| policy.backoff.pause(failures, 0.3).as_millis());
        assert_eq!(pauses, [200, 400, 800, 1600]);
        assert!(!policy.is_last(3));
        assert!(policy.is_last(4));
        assert_eq!(
            policy.keep_completed,
            Some(Keep {
                count: Some(10_000),
                age: None
            })
        );
        assert_eq!(
            policy.keep_failed,
            Some(Keep {
                count: Some(50_000),
                age: None
            })
        );
    }

    #[test]
    fn what_is_kept_is_said_in_four_ways() {
        for (option, count, age) in [
            ("true", Some(0), None),
            ("false", None, None),
            ("3", Some(3), None),
            (r#"{"count":3,"age":60}"#, Some(3), Some(60)),
            (r#"{"age":60}"#, None, Some(60)),
        ] {
            let policy = read(&format!(r#"{{"removeOnComplete":{option}}}"#));
            assert_eq!(policy.keep_completed, Some(Keep { count, age }), "{option}");
        }
    }

    #[test]
    fn jitter_takes_away_up_to_its_share() {
        let backoff = read(r#"{"backoff":{"type":"fixed","delay":1000,"jitter":0.5}}"#).backoff;
        assert_eq!(backoff.pause(3, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.pause(3, 1.0), Duration::from_secs(1));
    }

    #[test]
    fn a_number_is_a_fixed_backoff_and_an_unknown_kind_waits_too() {
        let pause = |opts| read(opts).backoff.pause(2, 0.0);
        assert_eq!(pause(r#"{"backoff":300}"#), Duration::from_millis(300));
        assert_eq!(pause(r#"{"backoff":{"type":"ours"}}"#), CUSTOM_BACKOFF);
        assert_eq!(pause("{}"), Duration::ZERO);
    }

    #[test]
    fn no_backoff_is_longer_than_redis_can_count() {
        let backoff = read(r#"{"backoff":{"type":"exponential","delay":1e300}}"#).backoff;
        assert_eq!(backoff.pause(60, 1.0), LONGEST_BACKOFF);
    }

    #[test]
    fn nonsense_is_as_if_it_were_not_there() {
        for opts in [
            "",
            "null",
            "[1]",
            "{",
            "\u{0}",
            r#"{"attempts":"many","backoff":[],"removeOnComplete":"x","removeOnFail":-1}"#,
        ] {
            assert_eq!(read(opts), Policy::default(), "{opts}");
        }
    }
}
