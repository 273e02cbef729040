//! One connection to Redis for our own reads and scripts.
//!
//! It connects when it is first used, and anew after any error: that covers a broken socket, a
//! failover (a master turned read-only, a Sentinel naming another) and an address whose user,
//! password or rights were put right meanwhile. Every step has a time limit, so a call ends with a
//! value, never a hang.

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, RedisError, ScriptInvocation, Value};
use tokio::sync::Mutex;

use super::QueueError;
use super::address::Topology;
use super::open::{STEP_TIMEOUT, certificates, open_single};
use super::sentinel;
use super::source::{RedisSource, Target};
use crate::runtime::run_script::RunScript;

/// For a whole call with the connecting before it: several Sentinels or cluster nodes may have to
/// be tried.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to Redis, cheap to clone; clones share one socket.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    source: RedisSource,
    manner: Manner,
    current: StdMutex<Current<Link>>,
    /// Held while one is opened: others wait for it.
    opening: Mutex<()>,
}

/// What all use now.
struct Current<L> {
    link: Option<L>,
    /// Which one it is: who has failed over an earlier one closes no later one.
    number: u64,
}

impl<L> Default for Current<L> {
    fn default() -> Self {
        Self {
            link: None,
            number: 0,
        }
    }
}

impl<L: Clone> Current<L> {
    fn known(&self) -> Option<(L, u64)> {
        Some((self.link.clone()?, self.number))
    }

    fn put(&mut self, link: L) -> (L, u64) {
        self.number += 1;
        self.link = Some(link.clone());
        (link, self.number)
    }

    fn forget(&mut self, number: u64) {
        if self.number == number {
            self.link = None;
        }
    }
}

/// How it connects.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// How long an answer may take.
    pub(super) patience: Duration,
    /// What the connection is called in `CLIENT LIST`.
    pub(super) name: Option<String>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            patience: STEP_TIMEOUT,
            name: None,
        }
    }
}

/// An established connection.
#[derive(Clone)]
enum Link {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Redis {
    /// A connection that is not made before it is needed.
    pub fn new(source: RedisSource) -> Self {
        Self::with_manner(source, Manner::default())
    }

    /// One for commands that wait up to `longest`. No other command should go over it meanwhile.
    /// A single server sees it under `name`.
    pub fn blocking(source: RedisSource, longest: Duration, name: String) -> Self {
        let manner = Manner {
            patience: longest + STEP_TIMEOUT,
            name: Some(name),
        };
        Self::with_manner(source, manner)
    }

    fn with_manner(source: RedisSource, manner: Manner) -> Self {
        Self {
            shared: Arc::new(Shared {
                source,
                manner,
                current: StdMutex::default(),
                opening: Mutex::default(),
            }),
        }
    }

    /// Where the address comes from.
    pub fn source(&self) -> &RedisSource {
        &self.shared.source
    }

    /// Runs a script (by its hash; its text is sent only when Redis does not know it yet).
    pub async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        self.call(async |link| match link {
            Link::Single(mut link) => script.invoke_async(&mut link).await,
            Link::Cluster(mut link) => script.invoke_async(&mut link).await,
        })
        .await
    }

    /// Sends one command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, QueueError> {
        self.call(async |link| match link {
            Link::Single(mut link) => command.query_async(&mut link).await,
            Link::Cluster(mut link) => command.query_async(&mut link).await,
        })
        .await
    }

    async fn call<T>(
        &self,
        send: impl AsyncFnOnce(Link) -> Result<T, RedisError>,
    ) -> Result<T, QueueError> {
        let mut used = None;
        let work = async {
            let (link, number) = self.link().await?;
            used = Some(number);
            Ok(send(link).await?)
        };
        let outcome = tokio::time::timeout(CALL_TIMEOUT, work)
            .await
            .unwrap_or(Err(QueueError::Timeout(CALL_TIMEOUT)));
        if outcome.is_err()
            && let Some(number) = used
        {
            self.current().forget(number);
        }
        outcome
    }

    async fn link(&self) -> Result<(Link, u64), QueueError> {
        if let Some(link) = self.current().known() {
            return Ok(link);
        }
        let _opening = self.shared.opening.lock().await;
        if let Some(link) = self.current().known() {
            return Ok(link);
        }
        let target = self.shared.source.target().await?;
        let link = open(&target, &self.shared.manner).await?;
        Ok(self.current().put(link))
    }

    // A panic cannot leave it half changed.
    fn current(&self) -> MutexGuard<'_, Current<Link>> {
        let current = self.shared.current.lock();
        current.unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RunScript for Redis {
    async fn run_script(&self, script: &ScriptInvocation<'_>) -> Result<Value, String> {
        self.run(script).await.map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.shared.source).finish()
    }
}

async fn open(target: &Target, manner: &Manner) -> Result<Link, QueueError> {
    let address = &target.address;
    match &address.topology {
        Topology::Cluster => Ok(Link::Cluster(open_cluster(target, manner).await?)),
        Topology::Single => {
            let url = address.url_of(&address.hosts[0], target.tls());
            Ok(Link::Single(
                open_single(&url, target.ca.as_deref(), manner).await?,
            ))
        }
        Topology::Sentinel { master } => {
            let url = sentinel::master_url(target, master).await?;
            Ok(Link::Single(
                open_single(&url, target.ca.as_deref(), manner).await?,
            ))
        }
    }
}

async fn open_cluster(target: &Target, manner: &Manner) -> Result<ClusterConnection, RedisError> {
    let address = &target.address;
    let nodes = address
        .hosts
        .iter()
        .map(|host| address.url_of(host, target.tls()));
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(STEP_TIMEOUT)
        .response_timeout(manner.patience)
        .overall_response_timeout(Some(CALL_TIMEOUT));
    if let Some(ca) = &target.ca {
        builder = builder.certs(certificates(ca));
    }
    builder.build()?.get_async_connection().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_failed_over_an_earlier_connection_closes_no_later_one() {
        let mut current = Current::<&str>::default();
        let (_, first) = current.put("first");
        current.forget(first);
        assert_eq!(current.known(), None);
        let (_, second) = current.put("second");
        current.forget(first);
        assert_eq!(current.known(), Some(("second", second)));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error_value() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("redis://{}", listener.local_addr().unwrap());
        drop(listener);
        let outcome = ask(&address).await;
        assert!(matches!(outcome, Err(QueueError::Redis(_))), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_nothing_is_an_error_value() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("redis://{}", listener.local_addr().unwrap());
        ask(&address).await.unwrap_err();
    }

    async fn ask(address: &str) -> Result<u64, QueueError> {
        let redis = Redis::new(RedisSource::fixed(address.parse().unwrap()));
        let script = redis::Script::new("return 1");
        redis.run(&script.prepare_invoke()).await
    }
}
