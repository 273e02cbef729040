//! What a sidecar's page says of the workspace's limit. Pure.

use super::page::value;

/// Requests/s that may be sent now, of the whole workspace.
const RATE: &str = "cio_limit_requests_per_second";
/// The part of them that is taken, 0 to 1.
const USED: &str = "cio_limit_used_ratio";
/// 1 while nothing is sent because Customer.io takes nothing.
const CIRCUIT_OPEN: &str = "cio_limit_circuit_open";

/// From here on the limit counts as used up: a backlog uses 97 % of it and more.
const USED_UP: f64 = 0.9;

/// The workspace's limit, as one sidecar knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Requests/s in force: what is set, or less after answers 429.
    pub requests_per_second: f64,
    /// The part of them that was taken over the last seconds, 0 to 1.
    pub used_ratio: f64,
    /// Whether a worker of the pipeline has stopped sending.
    pub circuit_open: bool,
}

impl Limit {
    /// The limit on a sidecar's page; none where the sidecar does not know it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let sample = |name| text.lines().find_map(|line| value(line, name));
        let limit = Self {
            requests_per_second: sample(RATE)?,
            used_ratio: sample(USED)?,
            circuit_open: sample(CIRCUIT_OPEN) == Some(1.0),
        };
        let sane = limit.requests_per_second > 0.0 && (0.0..=1.0).contains(&limit.used_ratio);
        sane.then_some(limit)
    }

    /// Whether the sidecar follows the limit, and has nothing yet to compare its reading with.
    pub(super) fn is_coming(text: &str) -> bool {
        let has = |name| text.lines().any(|line| value(line, name).is_some());
        has(RATE) && !has(USED)
    }

    /// Whether nothing is left of it.
    pub fn is_used_up(&self) -> bool {
        self.used_ratio >= USED_UP
    }

    /// Whether more pods could do nothing.
    pub fn is_saturated(&self) -> bool {
        self.circuit_open || self.is_used_up()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rate: &str, used: &str, open: &str) -> String {
        format!("{RATE}{{pipeline=\"e\"}} {rate}\n{USED} {used}\n{CIRCUIT_OPEN} {open}\n")
    }

    #[test]
    fn the_limit_is_read_and_saturated_when_used_up_or_when_nothing_is_sent() {
        // rate, used, open → used up, saturated
        for (rate, used, open, expected) in [
            ("80", "0.5", "0", (false, false)),
            ("80", "0.9", "0", (true, true)),
            ("80", "1", "0", (true, true)),
            ("80", "0", "1", (false, true)),
        ] {
            let limit = Limit::of(&page(rate, used, open)).unwrap();
            assert_eq!(
                (limit.is_used_up(), limit.is_saturated()),
                expected,
                "{used} {open}"
            );
        }
    }

    #[test]
    fn a_sidecar_that_follows_the_limit_and_cannot_compare_yet_is_told_from_one_that_does_not() {
        for (text, expected) in [
            (format!("{RATE} 80\n{CIRCUIT_OPEN} 0\n"), true),
            (page("80", "0.5", "0"), false),
            ("cio_queue_depth 7\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(Limit::is_coming(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_unknown() {
        let half = format!("{RATE} 80\n");
        for text in [
            String::new(),
            half,
            page("0", "0.5", "0"),
            page("NaN", "0.5", "0"),
            page("80", "NaN", "0"),
            page("80", "1.5", "0"),
        ] {
            assert_eq!(Limit::of(&text), None, "{text}");
        }
    }
}
