//! A schedule at a share of its rate: pure. The share may fall while the run is under way; what was due
//! before stays due.

use std::time::Duration;

use super::schedule::{ROUNDING, Schedule, real, whole};

/// The share, and since when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    factor: f64,
    /// The schedule's own integral when the share began.
    ideal: f64,
    /// Iterations due by then.
    due: f64,
}

impl Default for Pace {
    /// The whole rate, from the start.
    fn default() -> Self {
        Self {
            factor: 1.0,
            ideal: 0.0,
            due: 0.0,
        }
    }
}

impl Pace {
    /// The share of the schedule's rate.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Another share from `elapsed` on; `factor` is above 0.
    #[must_use]
    pub fn changed(&self, schedule: &Schedule, elapsed: Duration, factor: f64) -> Self {
        let ideal = schedule.ideal(elapsed);
        Self {
            factor,
            ideal,
            due: self.due + self.factor * (ideal - self.ideal),
        }
    }

    /// When the `number`th iteration, counted from 1, is due; nothing where there are fewer.
    pub fn due(&self, schedule: &Schedule, number: u64) -> Option<Duration> {
        schedule.reaches(self.ideal + (real(number) - self.due) / self.factor)
    }

    /// How many iterations there are, if the share stays as it is.
    pub fn total(&self, schedule: &Schedule) -> u64 {
        let rest = schedule.ideal(schedule.length()) - self.ideal;
        whole(self.due + self.factor * rest + ROUNDING)
    }

    /// Iterations a second asked at `elapsed`.
    pub fn rate(&self, schedule: &Schedule, elapsed: Duration) -> f64 {
        self.factor * schedule.rate(elapsed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::*;

    #[test]
    fn the_whole_rate_is_the_schedule_itself() {
        let (schedule, pace) = (Schedule::new(&Profile::default()), Pace::default());
        assert_eq!(pace.total(&schedule), 6_150);
        for number in [1, 900, 901, 4_800, 6_150, 6_151] {
            assert_eq!(
                pace.due(&schedule, number),
                schedule.due(number),
                "{number}"
            );
        }
    }

    #[test]
    fn a_smaller_share_keeps_what_was_due_and_stretches_the_rest() {
        let profile = Profile::default().constant(10.0, Duration::from_secs(20));
        let schedule = Schedule::new(&profile);
        let half = Pace::default().changed(&schedule, Duration::from_secs(4), 0.5);
        let fifth = half.changed(&schedule, Duration::from_secs(10), 0.2);
        assert_eq!((half.total(&schedule), fifth.total(&schedule)), (120, 90));
        for (pace, number, second) in [
            (half, 40, Some(4)),
            (half, 45, Some(5)),
            (half, 120, Some(20)),
            (half, 121, None),
            (fifth, 72, Some(11)),
            (fifth, 91, None),
        ] {
            let due = pace.due(&schedule, number);
            assert_eq!(due, second.map(Duration::from_secs), "{number}");
        }
        assert!((fifth.rate(&schedule, Duration::from_secs(12)) - 2.0).abs() < 1e-9);
    }
}
