//! Times and numbers as a person reads them.

use jiff::Timestamp;

/// Milliseconds as a span: two units at most.
pub(super) fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) if ms < 10_000 => format!("{}.{} s", seconds, ms / 100 % 10),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} m {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} m"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Milliseconds since the Unix epoch as a date and time in UTC.
pub(super) fn moment(ms: u64) -> String {
    let timestamp = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(
        || "?".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// `1 job`, `2 jobs`.
pub(super) fn jobs(count: u64) -> String {
    format!("{count} job{}", if count == 1 { "" } else { "s" })
}

/// A text that came from elsewhere, in one line and without what a terminal would obey.
pub(super) fn one_line(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units_at_most() {
        for (ms, text) in [
            (0, "0.0 s"),
            (1_250, "1.2 s"),
            (59_999, "59 s"),
            (61_000, "1 m 1 s"),
            (3_661_000, "1 h 1 m"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn moments_are_in_utc_and_nonsense_is_a_question_mark() {
        assert_eq!(moment(1_700_000_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(moment(u64::MAX), "?");
    }

    #[test]
    fn a_text_from_elsewhere_cannot_move_the_cursor() {
        assert_eq!(one_line("a\n\x1b[2Jb"), "a  [2Jb");
    }
}
