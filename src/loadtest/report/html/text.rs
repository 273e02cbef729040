//! Numbers and names as the page writes them.

use std::fmt::{self, Display, Formatter, Write};

/// Text in which no character is markup.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => out.write_str("&amp;")?,
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '"' => out.write_str("&quot;")?,
                _ => out.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A latency with three digits, which no line breaks from its unit: `1.23 ms`, `45.6 ms`, `789 ms`, `1.23 s`.
pub(super) fn latency(ms: f64) -> String {
    match ms {
        _ if ms < 9.995 => format!("{ms:.2}\u{a0}ms"),
        _ if ms < 99.95 => format!("{ms:.1}\u{a0}ms"),
        _ if ms < 999.5 => format!("{ms:.0}\u{a0}ms"),
        _ => format!("{:.2}\u{a0}s", ms / 1_000.0),
    }
}

/// A share from 0 to 1 in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A number without zeroes behind its point.
pub(super) fn plain(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A latency on an axis: `20 ms`, `1.5 s`.
pub(super) fn latency_tick(ms: f64) -> String {
    if ms >= 1_000.0 {
        format!("{} s", plain(ms / 1_000.0))
    } else {
        format!("{} ms", plain(ms))
    }
}

/// A time on an axis: `0`, `30s`, `1m`, `1m30s`, `2h`.
pub(super) fn time_tick(seconds: f64) -> String {
    let (hours, rest) = ((seconds / 3_600.0).floor(), seconds % 3_600.0);
    let (minutes, rest) = ((rest / 60.0).floor(), rest % 60.0);
    let parts = [(hours, "h"), (minutes, "m"), (rest, "s")];
    let parts = parts.iter().filter(|(number, _)| *number > 0.0);
    let text: String = parts.map(|(number, unit)| plain(*number) + unit).collect();
    if text.is_empty() {
        "0".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        for (ms, text) in [
            (0.1234, "0.12\u{a0}ms"),
            (21.34, "21.3\u{a0}ms"),
            (456.7, "457\u{a0}ms"),
            (2_014.0, "2.01\u{a0}s"),
        ] {
            assert_eq!(latency(ms), text);
        }
        for (seconds, text) in [
            (0.0, "0"),
            (0.5, "0.5s"),
            (30.0, "30s"),
            (60.0, "1m"),
            (90.0, "1m30s"),
            (7_200.0, "2h"),
        ] {
            assert_eq!(time_tick(seconds), text);
        }
        assert_eq!(
            (latency_tick(0.5), latency_tick(1_500.0)),
            ("0.5 ms".to_owned(), "1.5 s".to_owned())
        );
    }

    #[test]
    fn markup_is_written_as_text() {
        assert_eq!(
            Escaped("<a href=\"x\">&").to_string(),
            "&lt;a href=&quot;x&quot;&gt;&amp;"
        );
    }
}
