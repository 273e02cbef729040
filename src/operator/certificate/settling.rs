//! Since when a bundle is believed, by this process' own monotonic clock. Pure.

use tokio::time::Instant;

use super::SETTLE;

/// What was published, and when that was first seen. A new leader starts over: it saw nothing.
#[derive(Debug, Default)]
pub(super) struct Settling(Option<(String, Instant)>);

impl Settling {
    /// Whether API servers have had time to read `bundle`, after a look at which every `caBundle` of
    /// ours held it, or did not.
    pub(super) fn is_over(&mut self, bundle: &str, published: bool, now: Instant) -> bool {
        if !published {
            self.0 = None;
            return false;
        }
        let before = self.0.take().filter(|(known, _)| known == bundle);
        let (known, since) = before.unwrap_or_else(|| (bundle.to_owned(), now));
        self.0 = Some((known, since));
        now.duration_since(since) >= SETTLE
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bundle_settles_for_its_time_after_it_was_seen_everywhere() {
        let start = Instant::now();
        let mut settling = Settling::default();
        // s, bundle, published → over
        for (seconds, bundle, published, expected) in [
            (0, "one", true, false),
            (29, "one", true, false),
            (30, "one", true, true),
            (40, "two", false, false),
            (90, "two", true, false),
            (119, "two", true, false),
            (120, "two", true, true),
            // Somebody took it away again.
            (125, "two", false, false),
            (130, "two", true, false),
            (160, "two", true, true),
            (165, "three", true, false),
        ] {
            let now = start + Duration::from_secs(seconds);
            let found = settling.is_over(bundle, published, now);
            assert_eq!(found, expected, "{seconds} s");
        }
    }
}
