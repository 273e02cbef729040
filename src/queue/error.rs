//! Why the queue could not be asked.

use std::path::PathBuf;
use std::time::Duration;

use redis::RedisError;

use super::address::AddressError;

/// What went wrong between this process and Redis. No message holds a user or password.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The Redis address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A mounted file (address or certificate authority) cannot be read.
    #[error("cannot read {}: {error}; is the Secret mounted, and the key right?", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Redis gave no answer in time.
    #[error("no answer from Redis within {0:?}")]
    Timeout(Duration),
    /// No Sentinel named a master, or none could be reached.
    #[error("no Sentinel names a master {master:?}: {reason}")]
    NoMaster {
        /// The master's name in the address.
        master: String,
        /// What the last Sentinel said.
        reason: String,
    },
    /// Redis, or the connection to it, refused.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
}
