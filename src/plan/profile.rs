//! What arrives over time.

/// Events/s, each from a second on until the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile(Vec<(f64, f64)>);

/// Why a profile is refused; each says what to change.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProfileError {
    /// A line is not two numbers.
    #[error("line {0}: write MINUTE EVENTS_PER_SECOND, for example `10 250`")]
    ReadLine(usize),
    /// Time goes backwards.
    #[error("line {0}: the minutes must grow from line to line")]
    OrderLine(usize),
    /// There is nothing in it.
    #[error("there is no line with MINUTE EVENTS_PER_SECOND in it")]
    FindLine,
}

impl Profile {
    /// One line for each change: `MINUTE EVENTS_PER_SECOND`, with blanks or a comma between them. Empty
    /// lines and what follows a `#` are skipped. Before the first line nothing arrives.
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut fields = line
                .split([',', ' ', '\t'])
                .filter(|field| !field.is_empty());
            let (Some(minute), rate, None) = (fields.next(), fields.next(), fields.next()) else {
                if line.trim().is_empty() {
                    continue;
                }
                return Err(ProfileError::ReadLine(index + 1));
            };
            let number = |field: &str| field.parse::<f64>().ok();
            let read = number(minute).zip(rate.and_then(number));
            let valid = |(minute, rate): &(f64, f64)| {
                (0.0..1e6).contains(minute) && (0.0..1e9).contains(rate)
            };
            let (minute, rate) = read
                .filter(valid)
                .ok_or(ProfileError::ReadLine(index + 1))?;
            let second = minute * 60.0;
            if steps.last().is_some_and(|(before, _)| *before >= second) {
                return Err(ProfileError::OrderLine(index + 1));
            }
            steps.push((second, rate));
        }
        if steps.is_empty() {
            return Err(ProfileError::FindLine);
        }
        Ok(Self(steps))
    }

    /// A day's busiest hour in short: a sixth of `seconds` as on average, half of it at the peak, the
    /// rest as on average.
    pub fn peak_hour(average: f64, peak: f64, seconds: f64) -> Self {
        Self(vec![
            (0.0, average),
            (seconds / 6.0, peak),
            (seconds * 2.0 / 3.0, average),
        ])
    }

    /// Events/s at a second.
    pub fn at(&self, second: f64) -> f64 {
        let begun = self.0.iter().take_while(|(from, _)| *from <= second);
        begun.last().map_or(0.0, |(_, rate)| *rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lasts_until_the_next_one_begins() {
        let text = "# a day\nminute 0 is quiet\n";
        assert_eq!(Profile::parse(text), Err(ProfileError::ReadLine(2)));
        let profile = Profile::parse("1 50\n\n2,0.5 # less\n").expect("a profile");
        let rates = [0.0, 59.9, 60.0, 119.0, 120.0, 9999.0].map(|second| profile.at(second));
        assert_eq!(format!("{rates:?}"), "[0.0, 0.0, 50.0, 50.0, 0.5, 0.5]");
    }

    #[test]
    fn a_bad_line_is_named() {
        let cases = [
            ("", ProfileError::FindLine),
            ("# nothing", ProfileError::FindLine),
            ("0", ProfileError::ReadLine(1)),
            ("0 1 2", ProfileError::ReadLine(1)),
            ("0 -1", ProfileError::ReadLine(1)),
            ("0 NaN", ProfileError::ReadLine(1)),
            ("0 5\n0 6", ProfileError::OrderLine(2)),
        ];
        for (text, error) in cases {
            assert_eq!(Profile::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_peak_is_half_of_the_time() {
        let profile = Profile::peak_hour(1.0, 9.0, 600.0);
        let rates = [0.0, 100.0, 399.0, 400.0].map(|at| profile.at(at));
        assert_eq!(format!("{rates:?}"), "[1.0, 9.0, 9.0, 1.0]");
    }
}
