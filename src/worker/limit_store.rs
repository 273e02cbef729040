//! The limit's place in Redis: over the connection of whoever delivers.

use async_trait::async_trait;
use redis::{ScriptInvocation, Value};

use crate::delivery::limiter::LimitStore;
use crate::queue::connection::Redis;

/// Keeps the limit over this connection.
#[derive(Debug, Clone)]
pub struct RedisLimit(pub Redis);

#[async_trait]
impl LimitStore for RedisLimit {
    async fn run(&self, script: &ScriptInvocation<'_>) -> Result<Value, String> {
        self.0.run(script).await.map_err(|error| error.to_string())
    }
}
