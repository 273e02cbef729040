//! Faults on demand: rules that spoil the answers they match.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// More rules than this are refused.
const MOST_RULES: usize = 32;
/// No answer is delayed for longer.
const MOST_LATENCY_MS: u64 = 600_000;
/// A share is counted in millionths.
const WHOLE: u64 = 1_000_000;

/// Why rules are not taken; says which field, and what to write instead.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// There are more rules than the simulator keeps.
    #[error("{0} rules are too many: give at most {MOST_RULES}")]
    CountRules(usize),
    /// The text is not what it should be.
    #[error(
        "cannot read the rules: {0}; write a list like \
         [{{\"match\": {{\"method\": \"POST\", \"path_prefix\": \"/api/v2\"}}, \"status\": 429, \
         \"retry_after_seconds\": 1, \"latency_ms\": 0, \"share\": 0.5, \"times\": 10, \"for_ms\": 60000}}]; \
         each field may be left out; in place of a status, \"fault\" is one of reset_before, reset_after, \
         hang, drop"
    )]
    ReadRules(String),
    /// A field has a value that cannot be.
    #[error("{field} of a rule is {value}: {remedy}")]
    CheckField {
        /// The field.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        remedy: &'static str,
    },
}

/// Reads a list of rules.
pub(super) fn parse_rules(json: &[u8]) -> Result<Vec<Rule>, FaultError> {
    serde_json::from_slice(json).map_err(|error| FaultError::ReadRules(error.to_string()))
}

/// Which requests a rule is for; what is left out matches everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Match {
    /// The method, in capitals.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// The beginning of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_prefix: Option<String>,
}

/// What happens to the connection, or to the request, in place of an answer that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// The connection breaks off before the request is looked at.
    ResetBefore,
    /// The request is taken, and the connection breaks off instead of an answer.
    ResetAfter,
    /// There is never an answer.
    Hang,
    /// The answer is that of success, and nothing is stored.
    Drop,
}

/// What happens to a matching request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default, rename = "match")]
    matches: Match,
    /// The answer's status; absent: only slower. 207 takes a batch but for its first item, and
    /// changes no other call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// Something worse than a status; a rule has one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<Fault>,
    /// A `Retry-After` header, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_seconds: Option<u64>,
    /// Where a redirect leads to: scheme and host, before the path of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    /// Added to the answer's latency.
    #[serde(default)]
    pub(super) latency_ms: u64,
    /// The share of matching requests it is for, from 0 to 1; evenly spread, not by chance.
    #[serde(default = "all")]
    share: f64,
    /// After so many it ends; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    /// So long after the first request it spoils it ends; absent: never. Not from when it is set: an
    /// outage then lasts as long as it says, whenever somebody comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    for_ms: Option<u64>,
    #[serde(skip)]
    seen: u64,
    #[serde(skip)]
    hits: u64,
    #[serde(skip)]
    first_hit: Option<Instant>,
}

fn is_origin(location: &str) -> bool {
    let host = location
        .strip_prefix("https://")
        .or_else(|| location.strip_prefix("http://"));
    host.is_some_and(|host| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(plain)
    })
}

fn all() -> f64 {
    1.0
}

/// The rules in force; the first that hits counts.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Rule>);

impl Faults {
    /// Replaces the rules, or leaves them as they are.
    pub(super) fn replace(&mut self, rules: Vec<Rule>) -> Result<(), FaultError> {
        if rules.len() > MOST_RULES {
            return Err(FaultError::CountRules(rules.len()));
        }
        rules.iter().try_for_each(Rule::check)?;
        self.0 = rules;
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// The rule that spoils a request of this moment, if any does.
    pub(super) fn hit(&mut self, method: &str, path: &str, now: Instant) -> Option<Rule> {
        self.0
            .iter_mut()
            .filter(|rule| !rule.is_over(now) && rule.matches(method, path))
            .find_map(|rule| rule.hit(now))
    }
}

impl Rule {
    /// Reads one rule, as `PUT /_sim/faults` takes a list of.
    pub fn parse(json: &str) -> Result<Self, FaultError> {
        let rule: Self =
            serde_json::from_str(json).map_err(|error| FaultError::ReadRules(error.to_string()))?;
        rule.check()?;
        Ok(rule)
    }

    fn check(&self) -> Result<(), FaultError> {
        let wrong = |field, value: String, remedy| {
            Err(FaultError::CheckField {
                field,
                value,
                remedy,
            })
        };
        match self.status {
            Some(status) if !(200..=599).contains(&status) => {
                let remedy = "write an HTTP status from 200 to 599, or leave it out to only delay";
                return wrong("status", status.to_string(), remedy);
            }
            _ => {}
        }
        if let Some(location) = &self.location
            && !(is_origin(location) && self.status.is_some_and(|it| (300..400).contains(&it)))
        {
            let remedy = "write scheme and host, for example https://track-eu.customer.io, and give \
                          the rule a status from 300 to 399";
            return wrong("location", format!("{location:?}"), remedy);
        }
        if let (Some(status), Some(_)) = (self.status, self.fault) {
            let remedy = "leave it out beside a fault, or leave the fault out";
            return wrong("status", status.to_string(), remedy);
        }
        if !(0.0..=1.0).contains(&self.share) {
            let remedy = "write a number from 0 to 1";
            return wrong("share", self.share.to_string(), remedy);
        }
        if self.latency_ms > MOST_LATENCY_MS {
            let remedy = "write at most 600000";
            return wrong("latency_ms", self.latency_ms.to_string(), remedy);
        }
        if self.for_ms == Some(0) {
            let remedy = "write at least 1, or leave it out: it then holds until it is taken away";
            return wrong("for_ms", "0".to_owned(), remedy);
        }
        match &self.matches.method {
            Some(method) if method.bytes().any(|byte| !byte.is_ascii_uppercase()) => {
                let remedy = "write it in capitals, for example PUT";
                wrong("match.method", format!("{method:?}"), remedy)
            }
            _ => Ok(()),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        let since = self.first_hit.map(|first| now.duration_since(first));
        let too_late = self.for_ms.zip(since);
        self.times.is_some_and(|times| self.hits >= times)
            || too_late.is_some_and(|(ms, since)| since >= Duration::from_millis(ms))
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let method_fits = self
            .matches
            .method
            .as_ref()
            .is_none_or(|wanted| wanted == method);
        let prefix = self.matches.path_prefix.as_ref();
        method_fits && prefix.is_none_or(|prefix| path.starts_with(prefix.as_str()))
    }

    /// Every so often, so that the share comes out exactly, and the same in every run.
    fn hit(&mut self, now: Instant) -> Option<Self> {
        let share = self.millionths();
        let due = |seen: u64| u128::from(seen) * u128::from(share) / u128::from(WHOLE);
        let hit = due(self.seen + 1) > due(self.seen);
        self.seen += 1;
        self.hits += u64::from(hit);
        if hit {
            self.first_hit.get_or_insert(now);
        }
        hit.then(|| self.clone())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a share is checked to lie between 0 and 1"
    )]
    fn millionths(&self) -> u64 {
        (self.share * WHOLE as f64).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn faults(rules: &Value) -> Result<Faults, String> {
        let mut faults = Faults::default();
        parse_rules(rules.to_string().as_bytes())
            .and_then(|rules| faults.replace(rules))
            .map_err(|error| error.to_string())?;
        Ok(faults)
    }

    #[test]
    fn a_share_is_exact_and_a_rule_ends_after_its_times() {
        let cases: [(Value, usize, &[usize]); 5] = [
            (json!({"share": 0.25, "times": 2}), 12, &[3, 7]),
            (json!({"share": 0.25, "times": null}), 12, &[3, 7, 11]),
            (json!({"share": 0}), 12, &[]),
            (json!({"times": 2}), 12, &[0, 1]),
            (json!({"share": 0.3}), 10, &[3, 6, 9]),
        ];
        for (rule, requests, expected) in cases {
            let mut faults = faults(&json!([rule])).unwrap();
            let at: Vec<usize> = (0..requests)
                .filter(|_| faults.hit("PUT", "/x", Instant::now()).is_some())
                .collect();
            assert_eq!(at, expected, "{rule}");
        }
        let mut faults = faults(&json!([{"share": 0.29}])).unwrap();
        let hits = (0..10_000).filter(|_| faults.hit("PUT", "/x", Instant::now()).is_some());
        assert_eq!(hits.count(), 2_900);
    }

    #[test]
    fn a_rule_holds_for_its_time_from_the_first_request_that_it_spoils() {
        let start = Instant::now();
        // The milliseconds at which requests come, and which of them are spoiled.
        let cases: [(Value, &[usize]); 4] = [
            (json!({"for_ms": 100}), &[0, 1, 2]),
            (json!({"for_ms": 101}), &[0, 1, 2, 3]),
            (json!({"for_ms": 100, "times": 2}), &[0, 1]),
            (json!({"for_ms": 100, "share": 0.5}), &[1, 3]),
        ];
        for (rule, expected) in cases {
            let mut faults = faults(&json!([rule])).unwrap();
            let at = [1_000, 1_050, 1_099, 1_100, 1_200, 9_000];
            let mut spoils = |ms: u64| {
                let now = start + Duration::from_millis(ms);
                faults.hit("PUT", "/x", now).is_some()
            };
            let spoiled: Vec<usize> = (0..at.len()).filter(|n| spoils(at[*n])).collect();
            assert_eq!(spoiled, expected, "{rule}");
        }
    }

    #[test]
    fn a_rule_hits_only_what_it_matches() {
        let rule = json!([{"match": {"method": "POST", "path_prefix": "/api/v2"}, "status": 429}]);
        let mut faults = faults(&rule).unwrap();
        assert!(
            faults
                .hit("POST", "/api/v2/batch", Instant::now())
                .is_some()
        );
        assert!(faults.hit("PUT", "/api/v2/batch", Instant::now()).is_none());
        assert!(
            faults
                .hit("POST", "/api/v1/customers/u/events", Instant::now())
                .is_none()
        );
    }

    #[test]
    fn what_one_rule_lets_pass_the_next_one_sees() {
        let rules = json!([{"status": 500, "share": 0.5}, {"status": 429, "times": 1}]);
        let mut faults = faults(&rules).unwrap();
        let statuses: Vec<Option<u16>> = (0..4)
            .map(|_| {
                faults
                    .hit("PUT", "/x", Instant::now())
                    .and_then(|rule| rule.status)
            })
            .collect();
        assert_eq!(statuses, [Some(429), Some(500), None, Some(500)]);
    }

    #[test]
    fn a_rule_that_cannot_be_is_refused_with_its_field_and_a_remedy() {
        let cases = [
            (json!([{"status": 42}]), "status of a rule is 42: write"),
            (
                json!([{"status": 500, "fault": "hang"}]),
                "status of a rule is 500: leave it out",
            ),
            (json!([{"fault": "burn"}]), "reset_before"),
            (
                json!([{"status": 307, "location": "https://x.io/path"}]),
                "location of a rule is \"https://x.io/path\": write scheme",
            ),
            (
                json!([{"status": 200, "location": "https://x.io"}]),
                "a status from 300 to 399",
            ),
            (
                json!([{"location": "https://"}]),
                "location of a rule is \"https://\": write",
            ),
            (json!([{"share": 2.0}]), "share of a rule is 2: write"),
            (
                json!([{"latency_ms": 600_001}]),
                "latency_ms of a rule is 600001: write",
            ),
            (json!([{"for_ms": 0}]), "for_ms of a rule is 0: write"),
            (
                json!([{"match": {"method": "put"}}]),
                "match.method of a rule is \"put\": write",
            ),
            (json!([{"statuss": 500}]), "statuss"),
            (json!({"status": 500}), "write a list like [{"),
            (json!(vec![json!({"status": 500}); 33]), "at most 32"),
        ];
        for (rules, part) in cases {
            let error = faults(&rules).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
        assert!(Rule::parse("{\"status\": 9}").is_err());
    }

    #[test]
    fn bad_rules_leave_the_good_ones_in_force() {
        let mut faults = faults(&json!([{"status": 500}])).unwrap();
        let bad = parse_rules(b"[{\"status\": 7}]").unwrap();
        assert!(faults.replace(bad).is_err());
        assert!(faults.hit("PUT", "/x", Instant::now()).is_some());
    }
}
