//! Durations as k6 and Go write them: `30s`, `1m30s`, `500ms`.

use std::time::Duration;

use super::ProfileError;

const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
/// Beyond it lies a slip of the pen.
const MOST_SECONDS: f64 = 1e7;

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, ProfileError> {
    let unreadable = || ProfileError::ReadDuration(text.to_owned());
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(unreadable());
    }
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let number: f64 = number.parse().map_err(|_| unreadable())?;
        let unit = UNITS.iter().find(|(name, _)| *name == unit);
        seconds += number * unit.ok_or_else(unreadable)?.1;
        rest = after;
    }
    if seconds > MOST_SECONDS {
        return Err(unreadable());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// As k6 shows it: `2m00.0s`, `30.0s`.
pub fn show(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    let (minutes, rest) = (tenths / 600, tenths % 600);
    match minutes {
        0 => format!("{}.{}s", rest / 10, rest % 10),
        _ => format!("{minutes}m{:02}.{}s", rest / 10, rest % 10),
    }
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, ms) in [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("500ms", Some(500)),
            (" 1.5h ", Some(5_400_000)),
            ("0s", Some(0)),
            ("30", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1d", None),
            ("99999999h", None),
        ] {
            let read = parse(text).ok().map(|it| it.as_millis());
            assert_eq!(read, ms, "{text}");
        }
    }

    #[test]
    fn a_duration_is_shown_to_the_tenth() {
        for (ms, text) in [(0, "0.0s"), (62_310, "1m02.3s"), (9_990, "9.9s")] {
            assert_eq!(show(Duration::from_millis(ms)), text);
        }
    }
}
