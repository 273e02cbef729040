//! One connection to Redis for our own reads and scripts.
//!
//! It connects when it is first used, and anew after anything but a plain refusal by the server:
//! that covers a broken socket, a failover (a master turned read-only, a Sentinel naming another)
//! and a rotated address. Every step has a time limit, so a call ends with a value, never a hang.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, FromRedisValue, RedisError, RedisResult,
    ScriptInvocation, ServerErrorKind, TlsCertificates,
};
use tokio::sync::Mutex;

use super::QueueError;
use super::address::Topology;
use super::sentinel;
use super::source::{RedisSource, Target};

/// To connect, and to get an answer, each.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// For a whole call with the connecting before it: several Sentinels or cluster nodes may have to
/// be tried.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to Redis, cheap to clone; clones share one socket.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    source: RedisSource,
    link: Mutex<Option<Link>>,
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
        Self {
            shared: Arc::new(Shared {
                source,
                link: Mutex::new(None),
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
        let outcome = tokio::time::timeout(CALL_TIMEOUT, self.attempt(script))
            .await
            .unwrap_or(Err(QueueError::Timeout(CALL_TIMEOUT)));
        if outcome.as_ref().is_err_and(ends_the_link) {
            *self.shared.link.lock().await = None;
        }
        outcome
    }

    async fn attempt<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        Ok(match self.link().await? {
            Link::Single(mut link) => script.invoke_async(&mut link).await?,
            Link::Cluster(mut link) => script.invoke_async(&mut link).await?,
        })
    }

    async fn link(&self) -> Result<Link, QueueError> {
        let mut link = self.shared.link.lock().await;
        if let Some(link) = link.as_ref() {
            return Ok(link.clone());
        }
        let target = self.shared.source.target().await?;
        Ok(link.insert(open(&target).await?).clone())
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.shared.source).finish()
    }
}

/// After these the next call connects anew. A plain error of the server (a script's own, a missing
/// right) says nothing against the connection.
fn ends_the_link(error: &QueueError) -> bool {
    let QueueError::Redis(error) = error else {
        return true;
    };
    !matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoPerm)
            | ErrorKind::Extension
            | ErrorKind::UnexpectedReturnType
    )
}

async fn open(target: &Target) -> Result<Link, QueueError> {
    let address = &target.address;
    match &address.topology {
        Topology::Cluster => Ok(Link::Cluster(open_cluster(target).await?)),
        Topology::Single => {
            let url = address.url_of(&address.hosts[0], target.tls());
            Ok(Link::Single(open_single(&url, target.ca.as_deref()).await?))
        }
        Topology::Sentinel { master } => {
            let url = sentinel::master_url(target, master).await?;
            Ok(Link::Single(open_single(&url, target.ca.as_deref()).await?))
        }
    }
}

/// Connects to one server.
pub(super) async fn open_single(
    url: &str,
    ca: Option<&[u8]>,
) -> Result<MultiplexedConnection, QueueError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(STEP_TIMEOUT))
        .set_response_timeout(Some(STEP_TIMEOUT));
    Ok(client(url, ca)?
        .get_multiplexed_async_connection_with_config(&config)
        .await?)
}

fn client(url: &str, ca: Option<&[u8]>) -> RedisResult<Client> {
    match ca {
        Some(ca) => Client::build_with_tls(url, certificates(ca)),
        None => Client::open(url),
    }
}

async fn open_cluster(target: &Target) -> Result<ClusterConnection, RedisError> {
    let address = &target.address;
    let nodes = address
        .hosts
        .iter()
        .map(|host| address.url_of(host, target.tls()));
    let mut builder = ClusterClient::builder(nodes)
        .connection_timeout(STEP_TIMEOUT)
        .response_timeout(STEP_TIMEOUT)
        .overall_response_timeout(Some(CALL_TIMEOUT));
    if let Some(ca) = &target.ca {
        builder = builder.certs(certificates(ca));
    }
    builder.build()?.get_async_connection().await
}

fn certificates(ca: &[u8]) -> TlsCertificates {
    TlsCertificates {
        client_tls: None,
        root_cert: Some(ca.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_refusal_keeps_the_connection() {
        for (kind, ends) in [
            (ErrorKind::Io, true),
            (ErrorKind::AuthenticationFailed, true),
            (ErrorKind::Server(ServerErrorKind::ReadOnly), true),
            (ErrorKind::Server(ServerErrorKind::BusyLoading), true),
            (ErrorKind::Server(ServerErrorKind::ResponseError), false),
            (ErrorKind::Server(ServerErrorKind::NoPerm), false),
        ] {
            let error = QueueError::Redis(RedisError::from((kind, "as said")));
            assert_eq!(ends_the_link(&error), ends, "{kind:?}");
        }
        assert!(ends_the_link(&QueueError::Timeout(STEP_TIMEOUT)));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error_value() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("redis://{}", listener.local_addr().unwrap());
        drop(listener);
        let redis = Redis::new(RedisSource::fixed(address.parse().unwrap()));
        let script = redis::Script::new("return 1");
        let outcome = redis.run::<u64>(&script.prepare_invoke()).await;
        assert!(matches!(outcome, Err(QueueError::Redis(_))), "{outcome:?}");
    }
}
