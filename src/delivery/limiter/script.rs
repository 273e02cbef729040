//! The question that `limit.lua` answers, and its answer.

use std::fmt::Write;
use std::time::Duration;

use redis::Script;
use sha2::{Digest, Sha256};

use crate::delivery::client::Region;
use crate::runtime::run_script::RunScript;

/// The key of a workspace's limit: shared by all who deliver to it over the same Redis. The braces
/// are written as they are: in a Redis Cluster they decide the slot.
pub fn limit_key(region: Region, site_id: &str) -> String {
    let mut key = "cio:{".to_owned();
    for byte in Sha256::digest(format!("{}:{site_id}", region.as_str())) {
        // Writing to a String cannot fail.
        write!(key, "{byte:02x}").ok();
    }
    key + "}:limit"
}

/// Who asks, and for what.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) key: &'a str,
    pub(super) sharer: &'a str,
    pub(super) rate: u32,
    pub(super) wanted: usize,
    /// The last `next` this process was told.
    pub(super) known: u64,
    /// How long an answer is under way.
    pub(super) lead: Duration,
    /// An answer 429 came, asking to wait for so long.
    pub(super) throttled: Option<Duration>,
}

/// What Redis says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reply {
    /// Moments granted.
    pub(super) granted: u32,
    /// Until the first of them, in µs, below 0 when it has just passed; with none granted, until
    /// one may ask again.
    pub(super) wait_us: i64,
    /// Between them.
    pub(super) interval: Duration,
    pub(super) next: u64,
    /// The lowest rate that a live sharer is set to.
    pub(super) lowest: u32,
    /// What is left of it after answers 429, in thousandths.
    pub(super) permille: u32,
}

/// What the script answers, as it comes.
type Row = (u32, i64, u64, u64, u32, u32);

impl Reply {
    /// The rate in force.
    pub(super) fn rate(&self) -> f64 {
        f64::from(self.lowest) * f64::from(self.permille) / 1000.0
    }
}

pub(super) async fn ask(
    store: &dyn RunScript,
    script: &Script,
    question: &Question<'_>,
) -> Result<Reply, String> {
    let mut invocation = script.prepare_invoke();
    invocation
        .key(question.key)
        .arg(question.sharer)
        .arg(question.rate)
        .arg(question.wanted)
        .arg(question.known)
        .arg(micros(question.lead))
        .arg(u8::from(question.throttled.is_some()))
        .arg(question.throttled.map_or(0, micros));
    let value = store.run_script(&invocation).await?;
    let row: Row = redis::from_redis_value(value).map_err(|error| error.to_string())?;
    let (granted, wait_us, interval_us, next, lowest, permille) = row;
    Ok(Reply {
        granted,
        wait_us,
        interval: Duration::from_micros(interval_us),
        next,
        lowest,
        permille,
    })
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_hash_of_region_and_site_id_in_braces() {
        // printf %s 'us:site' | sha256sum
        assert_eq!(
            limit_key(Region::Us, "site"),
            "cio:{1b4a70fa0d8916c8fa6739cc61778b89daea532d3189347b73c09068108f7b40}:limit"
        );
        assert_ne!(limit_key(Region::Us, "site"), limit_key(Region::Eu, "site"));
    }
}
