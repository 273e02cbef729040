//! Faults on demand: rules that spoil the answers they match.

use serde::{Deserialize, Serialize};

/// More rules than this are refused.
const MOST_RULES: usize = 32;

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

/// What happens to a matching request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(default, rename = "match")]
    matches: Match,
    /// The answer's status; absent: only slower.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    /// A `Retry-After` header, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_seconds: Option<u64>,
    /// Added to the answer's latency.
    #[serde(default)]
    pub(super) latency_ms: u64,
    /// The share of matching requests it is for, from 0 to 1; evenly spread, not by chance.
    #[serde(default = "all")]
    share: f64,
    /// After so many it ends; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    #[serde(skip)]
    seen: u64,
    #[serde(skip)]
    hits: u64,
}

fn all() -> f64 {
    1.0
}

/// The rules in force; the first that hits counts.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Rule>);

impl Faults {
    /// Replaces the rules; says what is wrong with them otherwise.
    pub(super) fn replace(&mut self, rules: Vec<Rule>) -> Result<(), String> {
        if rules.len() > MOST_RULES {
            return Err(format!("at most {MOST_RULES} rules, not {}", rules.len()));
        }
        rules
            .iter()
            .enumerate()
            .try_for_each(|(index, rule)| rule.check(index))?;
        self.0 = rules;
        Ok(())
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// The rule that spoils this request, if any does.
    pub(super) fn hit(&mut self, method: &str, path: &str) -> Option<Rule> {
        self.0
            .iter_mut()
            .find(|rule| rule.matches(method, path))
            .and_then(Rule::hit)
    }
}

impl Rule {
    fn check(&self, index: usize) -> Result<(), String> {
        if self
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err(format!("rule {index}: status must be between 200 and 599"));
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Err(format!("rule {index}: share must be between 0 and 1"));
        }
        if self.latency_ms > 600_000 {
            return Err(format!("rule {index}: latency_ms must be at most 600000"));
        }
        Ok(())
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        let over = self.times.is_some_and(|times| self.hits >= times);
        let method_fits = self
            .matches
            .method
            .as_ref()
            .is_none_or(|wanted| wanted == method);
        let prefix = self.matches.path_prefix.as_ref();
        !over && method_fits && prefix.is_none_or(|prefix| path.starts_with(prefix.as_str()))
    }

    /// Every so often, so that the share comes out exactly.
    #[expect(clippy::cast_precision_loss, reason = "2^53 requests do not come")]
    fn hit(&mut self) -> Option<Self> {
        let due = |seen: u64| (seen as f64 * self.share).floor();
        let hit = due(self.seen + 1) > due(self.seen);
        self.seen += 1;
        self.hits += u64::from(hit);
        hit.then(|| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(rules: serde_json::Value) -> Result<Faults, String> {
        let mut faults = Faults::default();
        let rules = serde_json::from_value(rules).map_err(|error| error.to_string())?;
        faults.replace(rules).map(|()| faults)
    }

    #[test]
    fn a_share_is_exact_and_a_rule_ends_after_its_times() {
        let mut faults = faults(json!([{"status": 503, "share": 0.25, "times": 2}])).unwrap();
        let hits: Vec<bool> = (0..12).map(|_| faults.hit("PUT", "/x").is_some()).collect();
        let at: Vec<usize> = (0..12).filter(|at| hits[*at]).collect();
        assert_eq!(at, [3, 7]);
    }

    #[test]
    fn a_rule_hits_only_what_it_matches() {
        let rule = json!([{"match": {"method": "POST", "path_prefix": "/api/v2"}, "status": 429}]);
        let mut faults = faults(rule).unwrap();
        assert!(faults.hit("POST", "/api/v2/batch").is_some());
        assert!(faults.hit("PUT", "/api/v2/batch").is_none());
        assert!(faults.hit("POST", "/api/v1/customers/u/events").is_none());
    }

    #[test]
    fn a_rule_that_cannot_be_is_refused_with_its_field() {
        let cases = [
            (json!([{"status": 42}]), "status"),
            (json!([{"share": 2.0}]), "share"),
            (json!([{"latency_ms": 600_001}]), "latency_ms"),
            (json!([{"statuss": 500}]), "statuss"),
            (json!(vec![json!({"status": 500}); 33]), "32"),
        ];
        for (rules, field) in cases {
            let error = faults(rules).expect_err(field);
            assert!(error.contains(field), "{error}");
        }
    }
}
