//! What load is asked for: rates over time, users, think time.

pub mod duration;
mod file;

use std::time::Duration;

pub use file::{ProfileFile, read};

/// An iteration is an identify and a track.
pub const REQUESTS_PER_ITERATION: f64 = 2.0;
/// More iterations a second than one process could start.
const MOST_RATE: f64 = 100_000.0;
/// More stages than anybody writes by hand.
const MOST_STAGES: usize = 100;
/// Longer than a load test runs.
const LONGEST: Duration = Duration::from_hours(24);
/// Each user may have a connection.
const MOST_USERS: usize = 10_000;
const LONGEST_THINK_TIME: Duration = Duration::from_mins(1);

/// A straight line of the rate, to `target` within `duration`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Iterations a second at the end of the stage.
    pub target: f64,
    /// How long it takes; zero is a jump.
    pub duration: Duration,
}

/// The load of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Iterations a second at the start.
    pub start_rate: f64,
    /// What follows.
    pub stages: Vec<Stage>,
    /// Users that are there from the start.
    pub pre_allocated_users: usize,
    /// Users there can be; an iteration that would need one more is dropped.
    pub max_users: usize,
    /// How long a user pauses after an iteration.
    pub think_time: Duration,
}

/// What is wrong with a profile, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A duration that cannot be read.
    #[error("{0:?} is not a duration: write for example 30s, 1m30s or 500ms")]
    ReadDuration(String),
    /// A stage that cannot be read.
    #[error("{0:?} is not a stage: write TARGET:DURATION, for example 50:30s")]
    ReadStage(String),
    /// A field out of its bounds.
    #[error("{field} is {value}: {remedy}")]
    CheckField {
        /// The field's name.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        remedy: String,
    },
    /// The file's text is no profile.
    #[error("cannot read the profile: {0}")]
    ReadFile(String),
}

impl Default for Profile {
    /// The load and scaling guide's test: 10 to 50 to 80 to 10 iterations a second.
    fn default() -> Self {
        let stage = |target, seconds| Stage {
            target,
            duration: Duration::from_secs(seconds),
        };
        Self {
            start_rate: 10.0,
            stages: vec![stage(50.0, 30), stage(80.0, 60), stage(10.0, 30)],
            pre_allocated_users: 20,
            max_users: 50,
            think_time: Duration::from_millis(100),
        }
    }
}

impl Profile {
    /// The highest rate, in iterations a second.
    pub fn peak(&self) -> f64 {
        let targets = self.stages.iter().map(|stage| stage.target);
        targets.fold(self.start_rate, f64::max)
    }

    /// The highest rate, in requests a second.
    pub fn peak_requests(&self) -> f64 {
        self.peak() * REQUESTS_PER_ITERATION
    }

    /// How long it takes.
    pub fn duration(&self) -> Duration {
        self.stages.iter().map(|stage| stage.duration).sum()
    }

    /// The same shape with another peak.
    #[must_use]
    pub fn scaled_to(mut self, requests_per_second: f64) -> Self {
        let factor = requests_per_second / self.peak_requests();
        self.start_rate *= factor;
        for stage in &mut self.stages {
            stage.target *= factor;
        }
        self
    }

    /// One rate throughout.
    #[must_use]
    pub fn constant(mut self, rate: f64, duration: Duration) -> Self {
        self.start_rate = rate;
        self.stages = vec![Stage {
            target: rate,
            duration,
        }];
        self
    }

    /// Refuses what cannot be run.
    pub fn check(&self) -> Result<(), ProfileError> {
        let count = self.stages.len();
        within("stages", count, (1, MOST_STAGES))?;
        rate("startRate", self.start_rate)?;
        for stage in &self.stages {
            rate("target of a stage", stage.target)?;
        }
        within("maxUsers", self.max_users, (1, MOST_USERS))?;
        within(
            "preAllocatedUsers",
            self.pre_allocated_users,
            (1, self.max_users),
        )?;
        let duration = self.duration();
        if duration.is_zero() || duration > LONGEST {
            return wrong("duration", format!("{duration:?}"), "write 1ms to 24h");
        }
        if self.think_time > LONGEST_THINK_TIME {
            let value = format!("{:?}", self.think_time);
            return wrong("thinkTime", value, "write at most 60s");
        }
        if super::schedule::Schedule::new(self).total() == 0 {
            let remedy = "raise the rate or the duration until there is one";
            return wrong("iterations planned", "0".to_owned(), remedy);
        }
        Ok(())
    }
}

/// Stages as on the command line: `10:30s,50:1m`.
pub fn stages(text: &str) -> Result<Vec<Stage>, ProfileError> {
    text.split(',').map(stage).collect()
}

fn stage(text: &str) -> Result<Stage, ProfileError> {
    let unreadable = || ProfileError::ReadStage(text.to_owned());
    let (target, duration) = text.trim().split_once(':').ok_or_else(unreadable)?;
    Ok(Stage {
        target: target.trim().parse().map_err(|_| unreadable())?,
        duration: duration::parse(duration)?,
    })
}

fn rate(field: &'static str, rate: f64) -> Result<(), ProfileError> {
    if (0.0..=MOST_RATE).contains(&rate) {
        return Ok(());
    }
    let remedy = "write iterations a second from 0 to 100000";
    wrong(field, rate.to_string(), remedy)
}

fn within(field: &'static str, value: usize, bounds: (usize, usize)) -> Result<(), ProfileError> {
    if (bounds.0..=bounds.1).contains(&value) {
        return Ok(());
    }
    let remedy = format!("write {} to {}", bounds.0, bounds.1);
    wrong(field, value.to_string(), &remedy)
}

fn wrong<T>(field: &'static str, value: String, remedy: &str) -> Result<T, ProfileError> {
    Err(ProfileError::CheckField {
        field,
        value,
        remedy: remedy.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_guides() {
        let profile = Profile::default();
        assert_eq!(profile.check(), Ok(()));
        assert!((profile.peak_requests() - 160.0).abs() < 1e-9);
        assert_eq!(profile.duration(), Duration::from_mins(2));
    }

    #[test]
    fn scaling_moves_the_peak_and_keeps_the_shape() {
        let profile = Profile::default().scaled_to(80.0);
        assert!((profile.peak_requests() - 80.0).abs() < 1e-9);
        assert!((profile.start_rate - 5.0).abs() < 1e-9);
    }

    #[test]
    fn stages_are_read_or_refused_by_their_text() {
        let read = stages("10:30s, 50.5:1m").unwrap();
        assert!((read[1].target - 50.5).abs() < 1e-9);
        assert_eq!(read[1].duration, Duration::from_mins(1));
        for text in ["", "10", "x:30s", "10:30", "10:30s,"] {
            assert!(stages(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_its_field() {
        let with = |change: fn(&mut Profile)| {
            let mut profile = Profile::default();
            change(&mut profile);
            profile.check().unwrap_err().to_string()
        };
        for (error, field) in [
            (with(|it| it.stages.clear()), "stages"),
            (with(|it| it.start_rate = f64::NAN), "startRate"),
            (with(|it| it.stages[0].target = -1.0), "target"),
            (with(|it| it.max_users = 0), "maxUsers"),
            (with(|it| it.pre_allocated_users = 51), "preAllocatedUsers"),
            (with(|it| it.stages[0].duration = LONGEST * 2), "duration"),
            (with(|it| it.think_time = LONGEST), "thinkTime"),
            (
                with(|it| *it = Profile::default().constant(1.0, Duration::from_millis(1))),
                "iterations planned",
            ),
        ] {
            assert!(error.starts_with(field), "{error}");
        }
    }
}
