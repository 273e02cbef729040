//! `behavior.scaleUp` and `behavior.scaleDown`: windows, policies, and what was done lately.

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HPAScalingRules;

/// Inside so much of the target pods stay as they are (the controller-manager's default).
const TOLERANCE: f64 = 0.1;

/// One direction's rules, with Kubernetes' own defaults where nothing is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How long the recommendations of the past count.
    pub window: Duration,
    /// Which policy holds.
    pub select: Select,
    /// How fast pods change.
    pub policies: Vec<Policy>,
    /// How far from the target nothing is done, as a part of it.
    pub tolerance: f64,
}

/// Which of several policies holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// The one that allows the largest change.
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: this direction is off.
    Disabled,
}

/// At most so much change in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What `value` counts.
    pub kind: PolicyKind,
    /// Pods, or percent of the pods at the period's start.
    pub value: i32,
    /// The period.
    pub period: Duration,
}

/// What a policy's value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// Pods.
    Pods,
    /// Percent.
    Percent,
}

impl Policy {
    fn quarter_minute(kind: PolicyKind, value: i32) -> Self {
        let period = Duration::from_secs(15);
        Self {
            kind,
            value,
            period,
        }
    }
}

impl Rules {
    /// For adding pods; without rules 4 pods or 100 % per 15 s, at once.
    pub(super) fn up(given: Option<&HPAScalingRules>) -> Self {
        let policies = vec![
            Policy::quarter_minute(PolicyKind::Pods, 4),
            Policy::quarter_minute(PolicyKind::Percent, 100),
        ];
        Self::given(given, Duration::ZERO, policies)
    }

    /// For removing pods; without rules all of them, after 300 s.
    pub(super) fn down(given: Option<&HPAScalingRules>) -> Self {
        let policies = vec![Policy::quarter_minute(PolicyKind::Percent, 100)];
        Self::given(given, Duration::from_mins(5), policies)
    }

    fn given(rules: Option<&HPAScalingRules>, window: Duration, policies: Vec<Policy>) -> Self {
        let seconds = |given: i32| Duration::from_secs(given.unsigned_abs().into());
        let read = |rules: &HPAScalingRules| {
            let given = rules.policies.iter().flatten();
            let given = given.map(|policy| Policy {
                kind: match policy.type_.as_str() {
                    "Percent" => PolicyKind::Percent,
                    _ => PolicyKind::Pods,
                },
                value: policy.value,
                period: seconds(policy.period_seconds),
            });
            given.collect::<Vec<_>>()
        };
        let select = match rules.and_then(|rules| rules.select_policy.as_deref()) {
            Some("Min") => Select::Min,
            Some("Disabled") => Select::Disabled,
            _ => Select::Max,
        };
        let tolerance = rules.and_then(|rules| rules.tolerance.as_ref());
        let given_policies = rules.map(read).filter(|read| !read.is_empty());
        let given_window = rules.and_then(|rules| rules.stabilization_window_seconds);
        Self {
            window: given_window.map_or(window, seconds),
            select,
            policies: given_policies.unwrap_or(policies),
            tolerance: tolerance.map_or(TOLERANCE, |given| number(&given.0)),
        }
    }

    pub(super) fn longest_period(&self) -> Duration {
        let periods = self.policies.iter().map(|policy| policy.period);
        periods.max().unwrap_or_default()
    }

    /// The most pods there may be now. `change` says what was added and removed in a period.
    pub(super) fn limit_up(&self, current: i32, change: impl Fn(Duration) -> (i32, i32)) -> i32 {
        let limits = self.policies.iter().map(|policy| {
            let start = start(current, change(policy.period));
            match policy.kind {
                PolicyKind::Pods => start.saturating_add(policy.value),
                PolicyKind::Percent => rounded(grown(start, policy.value).ceil()),
            }
        });
        let limit = match self.select {
            Select::Disabled => None,
            Select::Min => limits.min(),
            Select::Max => limits.max(),
        };
        limit.unwrap_or(current)
    }

    /// The fewest pods there may be now.
    pub(super) fn limit_down(&self, current: i32, change: impl Fn(Duration) -> (i32, i32)) -> i32 {
        let limits = self.policies.iter().map(|policy| {
            let start = start(current, change(policy.period));
            match policy.kind {
                PolicyKind::Pods => start.saturating_sub(policy.value),
                PolicyKind::Percent => rounded(grown(start, -policy.value).trunc()),
            }
        });
        let limit = match self.select {
            Select::Disabled => None,
            Select::Min => limits.max(),
            Select::Max => limits.min(),
        };
        limit.unwrap_or(current)
    }
}

/// The pods there were at a period's start.
fn start(current: i32, (added, removed): (i32, i32)) -> i32 {
    current - added + removed
}

fn grown(start: i32, percent: i32) -> f64 {
    f64::from(start) * (1.0 + f64::from(percent) / 100.0)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of pods, rounded by the caller"
)]
fn rounded(pods: f64) -> i32 {
    pods as i32
}

/// A Kubernetes quantity of tolerance: a plain number or thousandths.
fn number(quantity: &str) -> f64 {
    let read = match quantity.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().map(|number: f64| number / 1000.0),
        None => quantity.parse(),
    };
    read.unwrap_or(TOLERANCE)
}

/// Changes in one direction, with their time.
#[derive(Debug, Clone, Default)]
pub(super) struct Events(Vec<(Duration, i32)>);

impl Events {
    /// Pods changed in the `period` before `now`.
    pub(super) fn within(&self, now: Duration, period: Duration) -> i32 {
        let young = |(at, _): &&(Duration, i32)| now.saturating_sub(*at) < period;
        self.0.iter().filter(young).map(|(_, pods)| pods).sum()
    }

    /// Like the controller's list: a new event takes the place of the last one that is older than its own
    /// direction's longest period, although the other direction may still have counted it.
    pub(super) fn store(&mut self, now: Duration, pods: i32, longest: Duration) {
        let old = |(at, _): &(Duration, i32)| now.saturating_sub(*at) > longest;
        match self.0.iter().rposition(old) {
            Some(index) => self.0[index] = (now, pods),
            None => self.0.push((now, pods)),
        }
    }
}
