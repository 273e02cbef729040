//! `GET /depth`: what the adapter asks a sidecar.

use serde::{Deserialize, Serialize};

/// Where a sidecar answers with a [`DepthReport`].
pub const DEPTH_PATH: &str = "/depth";

/// How deep a queue is, as one sidecar knows it. Sent with 200 while the depth is known, with 503
/// while it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DepthReport {
    /// The pipeline's name, as in the metric's label.
    pub pipeline: String,
    /// The queue's name.
    pub queue: String,
    /// Jobs of the whole queue that a worker has or could have; null while unknown, never 0 then.
    pub depth: Option<u64>,
    /// When the queue was last read, in ms since the Unix epoch by the sidecar's clock; null before
    /// the first time.
    pub read_at_ms: Option<u64>,
    /// How long ago that was, in ms: to judge freshness by without comparing clocks.
    pub age_ms: Option<u64>,
    /// Whether the queue was paused then; false while unknown.
    pub paused: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_the_one_that_older_adapters_and_sidecars_speak() {
        let report = DepthReport {
            pipeline: "events".to_owned(),
            queue: "cio-events".to_owned(),
            depth: Some(7),
            read_at_ms: Some(1_000),
            age_ms: Some(20),
            paused: false,
        };
        let text = r#"{"pipeline":"events","queue":"cio-events","depth":7,"readAtMs":1000,"ageMs":20,"paused":false}"#;
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
        assert_eq!(serde_json::from_str::<DepthReport>(text).unwrap(), report);
    }
}
