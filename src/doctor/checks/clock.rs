//! Clocks that differ.

use jiff::{SignedDuration, Timestamp};

use crate::doctor::check::Check;

/// Times of events are in seconds; an HTTP date has no finer ones.
const TOLERATED: SignedDuration = SignedDuration::from_secs(3);
const REMEDY: &str =
    "start time synchronisation (`timedatectl set-ntp true`) on the machine that is wrong";

/// Compares this machine's clock, read before and after asking, with the other's.
pub(in crate::doctor) fn check(
    name: &'static str,
    whose: &str,
    theirs: Timestamp,
    (before, after): (Timestamp, Timestamp),
) -> Check {
    // The answer was given at some time in between: that much is not known.
    let ahead = before.duration_since(theirs);
    let behind = theirs.duration_since(after);
    let apart = ahead.max(behind).max(SignedDuration::ZERO);
    let seconds = apart.as_secs_f64();
    if apart <= TOLERATED {
        return Check::pass(
            name,
            format!("this clock and {whose} agree to {seconds:.1} s"),
        );
    }
    let side = if ahead > behind { "ahead of" } else { "behind" };
    let finding = format!("this clock is {seconds:.0} s {side} {whose}: events get wrong times");
    Check::warning(name, finding, REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict;

    #[test]
    fn a_difference_counts_only_beyond_what_the_question_took() {
        let at = |seconds: i64| Timestamp::from_second(1_700_000_000 + seconds).unwrap();
        // theirs, before, after → verdict, word
        for (theirs, before, after, verdict, word) in [
            (0, 0, 0, Verdict::Pass, "agree"),
            (5, 0, 4, Verdict::Pass, "agree"),
            (10, 0, 1, Verdict::Warning, "9 s behind"),
            (-10, 0, 1, Verdict::Warning, "10 s ahead"),
        ] {
            let found = check("clock", "Redis'", at(theirs), (at(before), at(after)));
            assert_eq!(found.verdict, verdict, "{found:?}");
            assert!(found.finding.contains(word), "{found:?}");
        }
    }
}
