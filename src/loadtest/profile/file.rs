//! A profile as a YAML file, with the field names of k6's scenarios where it has one.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Profile, ProfileError, Stage, duration};

/// What a file holds: the load, and thresholds as they stand there.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileFile {
    /// The load.
    pub profile: Profile,
    /// Metric and expressions, in the form that `--threshold` takes.
    pub thresholds: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    start_rate: Option<f64>,
    stages: Vec<StageDocument>,
    #[serde(alias = "preAllocatedVUs")]
    pre_allocated_users: Option<usize>,
    #[serde(alias = "maxVUs")]
    max_users: Option<usize>,
    think_time: Option<String>,
    #[serde(default)]
    thresholds: BTreeMap<String, Vec<ThresholdDocument>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageDocument {
    target: f64,
    duration: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ThresholdDocument {
    Expression(String),
    Full(FullThreshold),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FullThreshold {
    threshold: String,
    #[serde(default)]
    abort_on_fail: bool,
    delay_abort_eval: Option<Delay>,
}

/// As k6 takes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Delay {
    Milliseconds(u64),
    Duration(String),
}

/// Reads a file's text. What it leaves out is the guide's.
pub fn read(text: &str) -> Result<ProfileFile, ProfileError> {
    let document: Document =
        serde_saphyr::from_str(text).map_err(|error| ProfileError::ReadFile(error.to_string()))?;
    let guide = Profile::default();
    let stages: Result<Vec<Stage>, ProfileError> = document.stages.iter().map(stage).collect();
    let max_users = document.max_users.unwrap_or(guide.max_users);
    Ok(ProfileFile {
        profile: Profile {
            start_rate: document.start_rate.unwrap_or(guide.start_rate),
            stages: stages?,
            pre_allocated_users: document
                .pre_allocated_users
                .unwrap_or(guide.pre_allocated_users.min(max_users)),
            max_users,
            think_time: match document.think_time.as_deref() {
                Some(text) => duration::parse(text)?,
                None => guide.think_time,
            },
        },
        thresholds: document.thresholds.iter().flat_map(lines).collect(),
    })
}

fn stage(document: &StageDocument) -> Result<Stage, ProfileError> {
    Ok(Stage {
        target: document.target,
        duration: duration::parse(&document.duration)?,
    })
}

fn lines((metric, list): (&String, &Vec<ThresholdDocument>)) -> Vec<String> {
    let line = |document: &ThresholdDocument| match document {
        ThresholdDocument::Expression(expression) => format!("{metric}: {expression}"),
        ThresholdDocument::Full(full) => {
            let abort = if full.abort_on_fail {
                " abortOnFail"
            } else {
                ""
            };
            let delay = match &full.delay_abort_eval {
                Some(Delay::Milliseconds(ms)) => format!(" delayAbortEval={ms}"),
                Some(Delay::Duration(text)) => format!(" delayAbortEval={text}"),
                None => String::new(),
            };
            format!("{metric}: {}{abort}{delay}", full.threshold)
        }
    };
    list.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_what_it_leaves_out_is_the_guides() {
        let text = "stages:\n- {target: 5, duration: 10s}\nmaxVUs: 7\nthresholds:\n  \
            cio_errors: [count<5, {threshold: 'count<9', abortOnFail: true, delayAbortEval: 3s}, \
            {threshold: 'count<7', abortOnFail: true, delayAbortEval: 3000}]\n";
        let file = read(text).unwrap();
        assert_eq!(file.profile.max_users, 7);
        assert_eq!(file.profile.pre_allocated_users, 7);
        assert_eq!(file.profile.think_time, Profile::default().think_time);
        let lines = [
            "cio_errors: count<5",
            "cio_errors: count<9 abortOnFail delayAbortEval=3s",
            "cio_errors: count<7 abortOnFail delayAbortEval=3000",
        ];
        assert_eq!(file.thresholds, lines);
    }

    #[test]
    fn a_field_that_is_not_known_is_named() {
        let error = read("stages: []\nthinktime: 1s\n").unwrap_err().to_string();
        assert!(error.contains("thinktime"), "{error}");
    }
}
