//! Where a job's trace began: what BullMQ's `telemetry` wrote into the job's options, which the
//! crate does not pass on. Asked for only where traces are exported: it is a call of Redis a job.

use redis::Script;
use serde_json::Value;

use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;

/// Reads jobs' options.
pub(super) struct Origin {
    redis: Redis,
    keys: QueueKeys,
    script: Script,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Origin")
    }
}

impl Origin {
    pub(super) fn new(redis: Redis, keys: QueueKeys) -> Self {
        let script = Script::new("return redis.call('HGET', KEYS[1], 'opts')");
        Self {
            redis,
            keys,
            script,
        }
    }

    /// The producer's span, in BullMQ's form. None too where Redis does not answer: the job comes
    /// first.
    pub(super) async fn of(&self, job: &str) -> Option<String> {
        let mut script = self.script.prepare_invoke();
        script.key(self.keys.part(job));
        let options: Option<String> = self.redis.run(&script).await.ok()?;
        metadata(&options?)
    }
}

/// `tm`, as BullMQ abbreviates `telemetry.metadata`.
fn metadata(options: &str) -> Option<String> {
    let options: Value = serde_json::from_str(options).ok()?;
    Some(options.get("tm")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bullmq_wrote_is_found_and_anything_else_is_none() {
        let written = r#"{"attempts":5,"tm":"{\"traceparent\":\"00-1-2-01\"}"}"#;
        let found = metadata(written);
        assert_eq!(found.as_deref(), Some(r#"{"traceparent":"00-1-2-01"}"#));
        for other in [r#"{"attempts":5}"#, r#"{"tm":7}"#, "[]", "", "{"] {
            assert_eq!(metadata(other), None, "{other}");
        }
    }
}
