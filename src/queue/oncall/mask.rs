//! Reasons of failures without the people in them: words of a fixed list are shown, others are hidden.
//!
//! A list of what to hide (e-mail addresses, ids, URLs …) would let through what nobody thought of,
//! a person's name for one: another worker's reason may quote anything.

use std::collections::HashSet;
use std::sync::LazyLock;

/// What stands for hidden words, however many.
const HIDDEN: &str = "…";
/// Sentences whose words are known.
const KNOWN: &str = include_str!("known_reasons.txt");
/// What a number may be of.
const UNITS: [&str; 11] = [
    "bytes",
    "characters",
    "attributes",
    "levels",
    "attempts",
    "ms",
    "milliseconds",
    "s",
    "second",
    "seconds",
    "minutes",
];
/// What a number behind them is: a limit of the sentence, not somebody's.
const LIMITS: [&str; 4] = ["than", "than the", "within", "since"];
/// What an HTTP status behind them is.
const STATUS: [&str; 6] = ["answered", "status", "code", "HTTP", "with", "Error"];
/// What begins the words of an HTTP status, where they follow its number.
const PHRASES: [&str; 14] = [
    "Bad",
    "Conflict",
    "Content",
    "Forbidden",
    "Gateway",
    "Gone",
    "Internal",
    "Method",
    "Not",
    "Payload",
    "Request",
    "Service",
    "Too",
    "Unprocessable",
];

static WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = KNOWN.lines().filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(str::split_whitespace).map(core);
    words.filter(|word| !word.is_empty()).collect()
});

/// The reason in one line, with each run of words that are not known replaced by `…`. Numbers stay
/// where they are a size, a time, a limit or an HTTP status.
pub(super) fn masked(reason: &str) -> String {
    let tokens: Vec<&str> = reason.split_whitespace().collect();
    let mut shown: Vec<&str> = Vec::new();
    for at in 0..tokens.len() {
        if may_be_shown(&tokens, at) {
            shown.push(tokens[at]);
        } else if shown.last() != Some(&HIDDEN) {
            shown.push(HIDDEN);
        }
    }
    shown.join(" ")
}

/// Whether something of a reason is hidden in what `masked` made of it.
pub fn is_masked(reason: &str) -> bool {
    reason.split(' ').any(|word| word == HIDDEN)
}

/// A word without the punctuation around it.
fn core(token: &str) -> &str {
    token.trim_matches(|c: char| c.is_ascii_punctuation() && c != '_')
}

fn may_be_shown(tokens: &[&str], at: usize) -> bool {
    let word = core(tokens[at]);
    let begins = at == 0 || tokens[at - 1].ends_with([':', '.', ';']);
    word.is_empty()
        || is_known(word, begins)
        || is_attribute(tokens, at)
        || is_harmless_number(tokens, at)
}

fn is_known(word: &str, begins: bool) -> bool {
    if WORDS.contains(word) {
        return true;
    }
    let small = |c: char| c.to_ascii_lowercase();
    let mut rest = word.chars();
    let first = rest.next().map(small).filter(|_| begins);
    let lower = first.map(|first| format!("{first}{}", rest.as_str()));
    lower.is_some_and(|lower| WORDS.contains(lower.as_str()))
}

/// The name of an attribute says how the data is made, as in `cio queue peek`. What looks like an id
/// is none.
fn is_attribute(tokens: &[&str], at: usize) -> bool {
    let word = core(tokens[at]);
    let name = word.strip_prefix("attributes.");
    let name = name.or_else(|| (before(tokens, at) == "attribute").then_some(word));
    name.is_some_and(|name| {
        let two_digits = |pair: &[u8]| pair.iter().all(u8::is_ascii_digit);
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.as_bytes().windows(2).any(two_digits)
    })
}

fn is_harmless_number(tokens: &[&str], at: usize) -> bool {
    let word = core(tokens[at]);
    let digits = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &word[..word.len() - digits.len()];
    if number.is_empty() || !(digits.is_empty() || UNITS.contains(&digits)) {
        return false;
    }
    let (last, next) = (before(tokens, at), after(tokens, at));
    let two = match at.checked_sub(1) {
        Some(previous) => format!("{} {last}", before(tokens, previous)),
        None => String::new(),
    };
    let is_status = number.parse().is_ok_and(|n: u16| (100..600).contains(&n));
    !digits.is_empty()
        || UNITS.contains(&next)
        || LIMITS.contains(&last)
        || LIMITS.contains(&two.as_str())
        || is_status && (STATUS.contains(&last) || PHRASES.contains(&next))
}

fn before<'a>(tokens: &[&'a str], at: usize) -> &'a str {
    at.checked_sub(1).map_or("", |at| core(tokens[at]))
}

fn after<'a>(tokens: &[&'a str], at: usize) -> &'a str {
    tokens.get(at + 1).map_or("", |token| core(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_name_a_person_is_hidden() {
        for (reason, shown) in [
            ("user 4711 (anna@example.com) not found", "user … not found"),
            ("User 47 not found", "User … not found"),
            ("unknown user: 429", "unknown user: …"),
            ("Anna Müller has no address", "… has no address"),
            (
                r#"invalid: {"userId":"u7","data":{"plan":"gold"}}"#,
                "invalid: …",
            ),
            (
                "AxiosError: Request failed with status code 503 for https://x.example/customers/7?id=8",
                "AxiosError: Request failed with status code 503 for …",
            ),
            (
                "connect ECONNREFUSED 10.1.2.3:443",
                "connect ECONNREFUSED …",
            ),
            (
                "attribute 'anna@example.com' unknown",
                "attribute … unknown",
            ),
            ("attributes.user4711: invalid", "… invalid"),
            ("+49 170 1234567", "…"),
            ("", ""),
        ] {
            assert_eq!(masked(reason), shown, "{reason}");
            assert_eq!(is_masked(&masked(reason)), shown.contains(HIDDEN));
        }
    }

    #[test]
    fn what_says_nothing_of_a_person_stays() {
        for reason in [
            "429 Too Many Requests",
            "timeout of 5000ms exceeded",
            "job stalled more than allowable limit",
            "TypeError: fetch failed",
            "Customer.io answered 207: attributes.delivery_suburb: property value cannot be longer than 1000 bytes",
            "the attribute \"plan\" has 1200 bytes in UTF-8, more than the 1000 that Customer.io takes",
            "Customer.io cannot be reached: no answer within 10s",
        ] {
            assert_eq!(masked(reason), reason);
        }
    }

    #[test]
    fn the_same_failure_of_different_people_is_one_reason() {
        assert_eq!(masked("user 1\nnot found"), masked("user  2 not found"));
    }
}
