//! The load that is asked for.

use std::path::PathBuf;

use clap::Args;

use super::usage;
use crate::cli::CommandError;
use crate::loadtest::profile::{self, Profile, duration};
use crate::loadtest::thresholds::{self, Threshold};

/// The load. Without any of it: 10 to 50 to 80 to 10 iterations a second, in two minutes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct Load {
    /// A YAML file: startRate, stages, preAllocatedUsers, maxUsers, thinkTime, thresholds.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stages", "rate"])]
    profile: Option<PathBuf>,

    /// Iterations a second to reach, and within what time, from the first one's target on.
    #[arg(long, value_name = "TARGET:DURATION,…", conflicts_with = "rate")]
    stages: Option<String>,

    /// A constant rate in iterations a second; each is two requests.
    #[arg(long, requires = "duration", value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,

    /// How long the constant rate lasts, for example 30s.
    #[arg(long, requires = "rate", value_name = "DURATION")]
    duration: Option<String>,

    /// Scale the profile so that its peak is this.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    requests_per_second: Option<f64>,

    /// Users that are there from the start.
    #[arg(long, value_name = "N")]
    pre_allocated_users: Option<usize>,

    /// Users there can be; an iteration that needs one more is dropped.
    #[arg(long, value_name = "N")]
    max_users: Option<usize>,

    /// 'METRIC: METHOD OP NUMBER', then abortOnFail and delayAbortEval=10s where wanted; several times.
    /// Replaces the guide's.
    #[arg(long, value_name = "THRESHOLD")]
    threshold: Vec<String>,
}

impl Load {
    /// The load and what it is judged by.
    pub(super) fn read(self, defaults: &[&str]) -> Result<(Profile, Vec<Threshold>), CommandError> {
        let (mut profile, mut lines) = (Profile::default(), self.threshold);
        if let Some(path) = self.profile {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                CommandError::Usage(format!(
                    "--profile: cannot read {}: {error}",
                    path.display()
                ))
            })?;
            let file = profile::read(&text).map_err(usage)?;
            profile = file.profile;
            if lines.is_empty() {
                lines = file.thresholds;
            }
        } else if let Some(text) = self.stages {
            profile.stages = profile::stages(&text).map_err(usage)?;
            profile.start_rate = profile.stages.first().map_or(0.0, |first| first.target);
        } else if let Some((rate, text)) = self.rate.zip(self.duration) {
            profile = profile.constant(rate, duration::parse(&text).map_err(usage)?);
        }
        profile.max_users = self.max_users.unwrap_or(profile.max_users);
        let users = self.pre_allocated_users;
        profile.pre_allocated_users =
            users.unwrap_or(profile.pre_allocated_users.min(profile.max_users));
        if let Some(rate) = self.requests_per_second {
            profile = profile.scaled_to(rate);
        }
        profile.check().map_err(usage)?;
        if lines.is_empty() {
            lines = defaults.iter().map(|it| (*it).to_owned()).collect();
        }
        let thresholds: Result<Vec<_>, _> = lines.iter().map(|it| thresholds::parse(it)).collect();
        Ok((profile, thresholds.map_err(usage)?))
    }
}

/// How large it may be the profile says, which knows what comes of it.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text
        .parse()
        .ok()
        .filter(|it: &f64| it.is_finite() && *it > 0.0);
    rate.ok_or_else(|| "write a number above 0, for example 80 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_above_0() {
        for (text, expected) in [
            ("80", Some(80.0)),
            ("0.5", Some(0.5)),
            ("0", None),
            ("-3", None),
            ("nan", None),
            ("inf", None),
            ("x", None),
        ] {
            assert_eq!(rate(text).ok(), expected, "{text}");
        }
    }
}
