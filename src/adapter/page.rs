//! One line of a page of metrics, in Prometheus' text format → its value. Pure.

/// The value on `NAME VALUE [TIME]` or `NAME{LABELS} VALUE [TIME]`.
pub(crate) fn value(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let after_labels = match rest.strip_prefix('{') {
        // A label's value may hold a brace, what follows the labels may not.
        Some(labels) => labels.rsplit_once('}')?.1,
        None => rest,
    };
    if !after_labels.starts_with([' ', '\t']) {
        return None;
    }
    after_labels.split_whitespace().next()?.parse().ok()
}
