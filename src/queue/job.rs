//! What the rest of the program may say about a job.

use std::borrow::Cow;
use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Bytes of the hash that are shown: enough to find a job again, too few to guess from.
const SHOWN_BYTES: usize = 6;

/// A job's id in a form that may be logged.
///
/// BullMQ's own ids are counters and say nothing. A custom id is the producer's and may hold a
/// user's id or e-mail address: it becomes `sha256:` and the first 12 hex digits of its hash
/// (`printf %s "$ID" | sha256sum | cut -c1-12`).
pub fn loggable_id(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(id);
    }
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(id.as_bytes()).iter().take(SHOWN_BYTES) {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_shown_as_it_is() {
        assert_eq!(loggable_id("12345"), "12345");
    }

    #[test]
    fn a_custom_id_is_shown_as_its_hash() {
        // printf %s 'a@example.com' | sha256sum
        assert_eq!(loggable_id("a@example.com"), "sha256:08168cd80dfd");
        assert!(loggable_id("").starts_with("sha256:"));
    }
}
