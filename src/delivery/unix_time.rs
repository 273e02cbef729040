//! Times as producers write them, made into the unix seconds that Customer.io expects.

use jiff::Timestamp;
use serde_json::Value;

/// From here on a number of seconds would be after the year 5138: it is milliseconds.
const MS_FROM: f64 = 100_000_000_000.0;
/// From here on it is not milliseconds either (again the year 5138).
const TOO_LARGE_FROM: f64 = 100_000_000_000_000.0;

/// Unix seconds. Milliseconds are recognised by their size and converted: sources disagree on
/// whether Customer.io refuses them or files them under a far future, and neither is wanted.
/// `None` for anything else.
pub(super) fn seconds(value: &Value) -> Option<i64> {
    let number = value.as_f64()?;
    if !(0.0..TOO_LARGE_FROM).contains(&number) {
        return None;
    }
    let seconds = if number >= MS_FROM {
        number / 1000.0
    } else {
        number
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked above"
    )]
    Some(seconds as i64)
}

/// Milliseconds from a number of milliseconds or seconds, or from an ISO 8601 text as
/// `JSON.stringify(new Date())` writes it. `None` for anything else.
pub(super) fn milliseconds(value: &Value) -> Option<u64> {
    if let Value::String(text) = value {
        let at: Timestamp = text.parse().ok()?;
        return u64::try_from(at.as_millisecond()).ok();
    }
    let number = value.as_f64()?;
    if !(0.0..TOO_LARGE_FROM).contains(&number) {
        return None;
    }
    let ms = if number >= MS_FROM {
        number
    } else {
        number * 1000.0
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked above"
    )]
    Some(ms as u64)
}

/// Whole seconds of a time in milliseconds.
pub(super) fn seconds_of_ms(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_come_from_seconds_and_from_milliseconds() {
        for (value, expected) in [
            (json!(1_700_000_000), Some(1_700_000_000)),
            (json!(1_700_000_000.9), Some(1_700_000_000)),
            (json!(1_700_000_000_123_u64), Some(1_700_000_000)),
            (json!(0), Some(0)),
            (json!(-1), None),
            (json!(1_700_000_000_123_456_u64), None),
            (json!("1700000000"), None),
            (json!(null), None),
        ] {
            assert_eq!(seconds(&value), expected, "{value}");
        }
    }

    #[test]
    fn milliseconds_come_from_numbers_and_from_iso_texts() {
        for (value, expected) in [
            (json!(1_700_000_000_123_u64), Some(1_700_000_000_123)),
            (json!(1_700_000_000), Some(1_700_000_000_000)),
            (json!("2023-11-14T22:13:20.123Z"), Some(1_700_000_000_123)),
            (json!("yesterday"), None),
            (json!({}), None),
        ] {
            assert_eq!(milliseconds(&value), expected, "{value}");
        }
    }
}
