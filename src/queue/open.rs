//! Opening a socket to one Redis server, within a time limit.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult, TlsCertificates};

use super::QueueError;
use super::connection::Manner;

/// To connect, and to get an answer, each.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects to one server and asks it for a sign of life: a missing password is then refused in
/// words that say so, while of a longer command Redis complains as of a broken protocol.
pub(super) async fn open_single(
    url: &str,
    ca: Option<&[u8]>,
    manner: &Manner,
) -> Result<MultiplexedConnection, QueueError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(STEP_TIMEOUT))
        .set_response_timeout(Some(manner.patience));
    let mut connection = client(url, ca)?
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    redis::cmd("PING").exec_async(&mut connection).await?;
    if let Some(name) = &manner.name {
        let mut command = redis::cmd("CLIENT");
        command.arg("SETNAME").arg(name);
        // A name that Redis refuses (a blank in it, no right to set one) is no reason not to work.
        command.exec_async(&mut connection).await.ok();
    }
    Ok(connection)
}

fn client(url: &str, ca: Option<&[u8]>) -> RedisResult<Client> {
    match ca {
        Some(ca) => Client::build_with_tls(url, certificates(ca)),
        None => Client::open(url),
    }
}

/// Trust in one certificate authority.
pub(super) fn certificates(ca: &[u8]) -> TlsCertificates {
    TlsCertificates {
        client_tls: None,
        root_cert: Some(ca.to_owned()),
    }
}
