//! Asking Sentinels who the master is (`SENTINEL get-master-addr-by-name`, as the Sentinel
//! client specification describes: each Sentinel in turn until one knows).

use redis::aio::MultiplexedConnection;

use super::QueueError;
use super::address::Host;
use super::connection::Manner;
use super::open::open_single;
use super::source::Target;

/// The URL of the master `name`, credentials included.
pub(super) async fn master_url(target: &Target, name: &str) -> Result<String, QueueError> {
    let mut reason = "no Sentinel in the address".to_owned();
    for sentinel in &target.address.hosts {
        match ask(target, sentinel, name).await {
            Ok(Some(host)) => return Ok(target.address.url_of(&host, target.tls())),
            Ok(None) => "it knows no master of that name".clone_into(&mut reason),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(QueueError::NoMaster {
        master: name.to_owned(),
        reason,
    })
}

async fn ask(target: &Target, sentinel: &Host, name: &str) -> Result<Option<Host>, QueueError> {
    let mut connection = connect(target, sentinel).await?;
    let answer: Option<(String, u16)> = redis::cmd("SENTINEL")
        .arg("get-master-addr-by-name")
        .arg(name)
        .query_async(&mut connection)
        .await?;
    Ok(answer.map(|(name, port)| Host {
        name: bracketed(name),
        port,
    }))
}

/// Sentinels are often open while their master is not: without credentials first, as `ioredis`
/// does, then with those of the address where the Sentinel wants some.
async fn connect(target: &Target, sentinel: &Host) -> Result<MultiplexedConnection, QueueError> {
    let ca = target.ca.as_deref();
    let manner = Manner::default();
    let mut address = target.address.clone();
    address.db = 0;
    let userinfo = std::mem::take(&mut address.userinfo);
    match open_single(&address.url_of(sentinel, target.tls()), ca, &manner).await {
        Err(QueueError::Redis(error)) if !error.is_io_error() && !userinfo.is_empty() => {
            address.userinfo = userinfo;
            open_single(&address.url_of(sentinel, target.tls()), ca, &manner).await
        }
        opened => opened,
    }
}

fn bracketed(host: String) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    }
}
