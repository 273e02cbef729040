//! Taking jobs out of the queue again, as long as no worker has them.

use redis::Script;

use super::on_queue;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;

/// Jobs in one step: each is looked for in a list, and Redis does nothing else meanwhile.
const AT_ONCE: usize = 200;

/// Takes those of `ids` out that wait or are put aside; which these were. The latest first: they are at
/// the end of the list where the search begins.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time; what was taken out stays out.
pub async fn withdraw(
    redis: &Redis,
    keys: &QueueKeys,
    ids: &[String],
) -> Result<Vec<String>, QueueError> {
    let script = Script::new(concat!(
        include_str!("common.lua"),
        include_str!("withdraw.lua")
    ));
    let mut out = Vec::new();
    for chunk in ids.rchunks(AT_ONCE) {
        let mut invocation = on_queue(&script, keys);
        for id in chunk.iter().rev() {
            invocation.arg(id);
        }
        let taken_out: Vec<String> = redis.run(&invocation).await?;
        out.extend(taken_out);
    }
    Ok(out)
}
