//! Arithmetic that the parts of a report share.

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^53")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// From 0 to 1; 0 of nothing is 0.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    real(part) / real(whole.max(1))
}

/// To a thousandth: what is beyond was not measured.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
