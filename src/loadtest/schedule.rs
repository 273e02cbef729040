//! When each iteration is due: pure. The rate is a chain of straight lines; by time t as many
//! iterations are due as the whole part of its integral says, as k6's ramping arrival rate has it.

use std::time::Duration;

use super::profile::Profile;

/// What rounding may take from a whole number of iterations.
pub(super) const ROUNDING: f64 = 1e-6;

/// The due times of a profile.
#[derive(Debug, Clone)]
pub struct Schedule {
    segments: Vec<Segment>,
    total: u64,
    length: f64,
}

/// One straight line.
#[derive(Debug, Clone, Copy)]
struct Segment {
    starts_at: f64,
    length: f64,
    /// Iterations due before it.
    before: f64,
    /// Iterations due in it.
    area: f64,
    rate: f64,
    slope: f64,
}

impl Schedule {
    /// The schedule of `profile`.
    pub fn new(profile: &Profile) -> Self {
        let (mut at, mut before, mut rate) = (0.0, 0.0, profile.start_rate);
        let mut segments = Vec::with_capacity(profile.stages.len());
        for stage in &profile.stages {
            let length = stage.duration.as_secs_f64();
            // A stage of no length is a jump of the rate.
            if length > 0.0 {
                let area = f64::midpoint(rate, stage.target) * length;
                segments.push(Segment {
                    starts_at: at,
                    length,
                    before,
                    area,
                    rate,
                    slope: (stage.target - rate) / length,
                });
                at += length;
                before += area;
            }
            rate = stage.target;
        }
        Self {
            segments,
            total: whole(before + ROUNDING),
            length: at,
        }
    }

    /// How many iterations there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When the last stage ends.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.length)
    }

    /// When the `number`th iteration, counted from 1, is due; nothing where there are fewer.
    pub fn due(&self, number: u64) -> Option<Duration> {
        if number == 0 || number > self.total {
            return None;
        }
        self.reaches(real(number))
    }

    /// When the integral of the rate reaches `wanted`; nothing where it never does.
    pub fn reaches(&self, wanted: f64) -> Option<Duration> {
        let fits = |it: &&Segment| wanted <= it.before + it.area + ROUNDING;
        let segment = self.segments.iter().find(fits)?;
        let at = segment.starts_at + segment.time_of(wanted - segment.before);
        Some(Duration::from_secs_f64(at.min(self.length)))
    }

    /// The integral of the rate: iterations due by `elapsed`, with its fraction.
    pub fn ideal(&self, elapsed: Duration) -> f64 {
        let elapsed = elapsed.as_secs_f64();
        let in_segment = |segment: &Segment| {
            let x = (elapsed - segment.starts_at).clamp(0.0, segment.length);
            segment.rate * x + segment.slope * x * x / 2.0
        };
        self.segments.iter().map(in_segment).sum()
    }

    /// How many iterations are due by `elapsed`.
    pub fn due_by(&self, elapsed: Duration) -> u64 {
        whole(self.ideal(elapsed) + ROUNDING).min(self.total)
    }

    /// The rate at `elapsed`, in iterations a second; 0 after the end.
    pub fn rate(&self, elapsed: Duration) -> f64 {
        let elapsed = elapsed.as_secs_f64();
        let within = |it: &&Segment| elapsed < it.starts_at + it.length;
        let segment = self.segments.iter().find(within);
        segment.map_or(0.0, |it| {
            it.rate + it.slope * (elapsed - it.starts_at).max(0.0)
        })
    }
}

impl Segment {
    /// The inverse of `rate·x + slope·x²/2`, in the form that does not cancel digits.
    fn time_of(&self, area: f64) -> f64 {
        let area = area.clamp(0.0, self.area);
        let root = (self.rate * self.rate + 2.0 * self.slope * area)
            .max(0.0)
            .sqrt();
        let divisor = self.rate + root;
        if divisor <= 0.0 {
            // A rate of 0 throughout: its only iteration is that of its end.
            return self.length;
        }
        (2.0 * area / divisor).min(self.length)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a profile is checked to plan fewer iterations than 2^53, and no negative rate"
)]
pub(super) fn whole(count: f64) -> u64 {
    count as u64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a run has fewer iterations and requests than 2^53"
)]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::profile::Stage;
    use super::*;

    #[test]
    fn the_guides_profile_has_6150_iterations_within_one_of_the_ramp_in_every_second() {
        let schedule = Schedule::new(&Profile::default());
        assert_eq!(schedule.total(), 6_150);
        assert_eq!(schedule.length(), Duration::from_mins(2));
        assert_eq!(schedule.due(6_150), Some(Duration::from_mins(2)));
        assert_eq!((schedule.due(0), schedule.due(6_151)), (None, None));
        let due: Vec<Duration> = (1..=6_150).map(|it| schedule.due(it).unwrap()).collect();
        for second in 0..120 {
            let (from, to) = (Duration::from_secs(second), Duration::from_secs(second + 1));
            let ideal = schedule.ideal(to) - schedule.ideal(from);
            let count = due.iter().filter(|it| (from..to).contains(*it)).count();
            let count = f64::from(u32::try_from(count).unwrap());
            assert!(
                (count - ideal).abs() <= 1.0,
                "second {second}: {count}, {ideal}"
            );
        }
    }

    #[test]
    fn a_stage_of_no_length_is_a_jump() {
        let mut profile = Profile::default().constant(1.0, Duration::from_secs(1));
        let stage = |target, seconds| Stage {
            target,
            duration: Duration::from_secs(seconds),
        };
        profile.stages.extend([stage(10.0, 0), stage(10.0, 1)]);
        assert_eq!(Schedule::new(&profile).total(), 11);
    }

    #[test]
    fn the_rate_is_that_of_the_line_it_is_on() {
        let schedule = Schedule::new(&Profile::default());
        for (second, rate) in [(0, 10.0), (15, 30.0), (30, 50.0), (60, 65.0), (120, 0.0)] {
            let read = schedule.rate(Duration::from_secs(second));
            assert!((read - rate).abs() < 1e-9, "second {second}: {read}");
        }
    }

    fn profiles() -> impl Strategy<Value = Profile> {
        let stages = prop::collection::vec((0.0..500.0_f64, 0..20_000_u64), 1..6);
        (0.0..500.0_f64, stages).prop_map(|(start_rate, stages)| Profile {
            start_rate,
            stages: stages
                .into_iter()
                .map(|(target, ms)| Stage {
                    target,
                    duration: Duration::from_millis(ms),
                })
                .collect(),
            ..Profile::default()
        })
    }

    proptest! {
        #[test]
        fn the_due_times_invert_the_integral_and_never_go_back(profile in profiles()) {
            let schedule = Schedule::new(&profile);
            let mut last = Duration::ZERO;
            let step = (schedule.total() / 50).max(1);
            for number in (1..=schedule.total()).step_by(usize::try_from(step).unwrap()) {
                let due = schedule.due(number).unwrap();
                prop_assert!(due >= last && due <= schedule.length());
                let ideal = schedule.ideal(due);
                prop_assert!((ideal - real(number)).abs() < 0.01, "{number}: {ideal}");
                last = due;
            }
        }
    }
}
