//! A Lua script on a Redis whose connection is another's: who needs an answer of Redis need not know
//! what kind of server it is, and a test needs none.

use async_trait::async_trait;
use redis::{ScriptInvocation, Value};

/// Who runs scripts.
#[async_trait]
pub trait RunScript: Send + Sync {
    /// Runs one. An error is a sentence for the log.
    async fn run_script(&self, script: &ScriptInvocation<'_>) -> Result<Value, String>;
}
