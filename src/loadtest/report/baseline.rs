//! Reading an earlier run's document.

use serde_json::Value;

use super::build::load;
use super::document::{Adapted, Load, Report, VERSION, Way};
use crate::loadtest::profile::Profile;

/// Why an earlier run cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not JSON, or a field is missing.
    #[error("it is no report of a load test: {0}; give a file that cio loadtest --json wrote")]
    Read(#[from] serde_json::Error),
    /// Another program wrote it.
    #[error(
        "its version is {0}, this program reads {VERSION}: run the baseline anew with this program"
    )]
    Version(String),
    /// Another load: no number of it says anything about this one.
    #[error(
        "it is of another load: {theirs} there, {ours} here; ask for the same load, or run the baseline anew"
    )]
    Load {
        /// The baseline's.
        theirs: String,
        /// This run's.
        ours: String,
    },
    /// It went the other way: its latencies are of something else.
    #[error(
        "it went --through {theirs}, this run goes --through {ours}; give a run of the same way"
    )]
    Way {
        /// The baseline's.
        theirs: &'static str,
        /// This run's.
        ours: &'static str,
    },
    /// `--adapt` lowered its rate: it was of less than the load that it names.
    #[error(
        "--adapt lowered its rate to {0:.0} % of the load that it names, so that its numbers are of another one; \
         give a run at the full rate, or ask both runs for the rate that held"
    )]
    Lowered(f64),
    /// No request of it succeeded: anything would be better.
    #[error("all its {0} requests failed: it is no result; give a run of a workspace that answers")]
    NoResult(u64),
    /// It was ended early, so that its numbers are of a part of the load.
    #[error(
        "it was ended early: only {begun} of its {planned} iterations were due; give a run that came to its end"
    )]
    Interrupted {
        /// Iterations that began, or found no user.
        begun: u64,
        /// Those of the load.
        planned: u64,
    },
}

/// Reads `text`, and refuses a run of another load than `profile`, or that did not go `way`. The numbers of users may differ:
/// the load that is offered does not depend on them.
pub fn read_baseline(text: &str, profile: &Profile, way: Way) -> Result<Report, BaselineError> {
    let value: Value = serde_json::from_str(text)?;
    match value.get("version") {
        Some(version) if *version != VERSION => {
            return Err(BaselineError::Version(version.to_string()));
        }
        _ => {}
    }
    let report: Report = serde_json::from_value(value)?;
    if report.way != way {
        return Err(BaselineError::Way {
            theirs: report.way.as_str(),
            ours: way.as_str(),
        });
    }
    let (theirs, ours) = (shown(&report.profile), shown(&load(profile)));
    if theirs != ours {
        return Err(BaselineError::Load { theirs, ours });
    }
    if let Some(adapt) = report.adapt.filter(Adapted::lowered) {
        return Err(BaselineError::Lowered(adapt.share * 100.0));
    }
    let begun = report.totals.started + report.totals.dropped;
    let planned = report.profile.iterations;
    if begun < planned {
        return Err(BaselineError::Interrupted { begun, planned });
    }
    let totals = &report.totals;
    if totals.errors >= totals.requests {
        return Err(BaselineError::NoResult(totals.requests));
    }
    Ok(report)
}

/// The load in words: equal for equal loads.
fn shown(load: &Load) -> String {
    let stages = load.stages.iter();
    let stages: Vec<String> = stages
        .map(|it| format!("{} in {}s", it.target, it.duration_s))
        .collect();
    format!(
        "from {} to {} iterations/s with a pause of {} ms",
        load.start_rate,
        stages.join(", "),
        load.think_time_ms
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// A run that came to its end.
    fn ended() -> Report {
        let mut report = sample::report();
        report.totals.started = report.profile.iterations - report.totals.dropped;
        report
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let mut report = ended();
        // It was asked to fall, and never had to.
        report.adapt = Some(Adapted {
            share: 1.0,
            held_requests_per_second: None,
            held_s: 0,
        });
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(
            read_baseline(&text, &Profile::default(), Way::Api).unwrap(),
            report
        );
    }

    #[test]
    fn what_cannot_be_compared_is_refused_with_what_to_do() {
        let mut other = ended();
        other.profile.stages[1].target = 40.0;
        let mut later = serde_json::to_value(ended()).unwrap();
        later["version"] = 1.into();
        let mut lowered = ended();
        lowered.adapt = Some(Adapted {
            share: 0.36,
            held_requests_per_second: Some(36.0),
            held_s: 8,
        });
        let mut early = ended();
        early.totals.started -= 1;
        let planned = early.profile.iterations;
        let only = format!("only {} of its {planned} iterations", planned - 1);
        let mut failed = ended();
        failed.totals.errors = failed.totals.requests;
        let all = format!("all its {} requests failed", failed.totals.requests);
        let mut queued = ended();
        queued.way = Way::Queue;
        for (text, part) in [
            (
                serde_json::to_string(&queued).unwrap(),
                "it went --through queue, this run goes --through api",
            ),
            (serde_json::to_string(&early).unwrap(), &only),
            (serde_json::to_string(&failed).unwrap(), &all),
            ("{".to_owned(), "--json"),
            ("{}".to_owned(), "missing field"),
            (
                serde_json::to_string(&lowered).unwrap(),
                "lowered its rate to 36 %",
            ),
            (later.to_string(), "version is 1"),
            (
                serde_json::to_string(&other).unwrap(),
                "40 in 60s, 10 in 30s iterations/s with a pause of 100 ms there",
            ),
        ] {
            let error = read_baseline(&text, &Profile::default(), Way::Api)
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn another_number_of_users_is_the_same_load() {
        let text = serde_json::to_string(&ended()).unwrap();
        let profile = Profile {
            max_users: 200,
            ..Profile::default()
        };
        assert!(read_baseline(&text, &profile, Way::Api).is_ok());
    }
}
