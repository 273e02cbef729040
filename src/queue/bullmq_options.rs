//! A Redis address in the form that the `bullmq` crate takes.

use bullmq::options::{RedisConnectionOptions, TlsCerts};

use super::QueueError;
use super::address::Topology;
use super::sentinel;
use super::source::RedisSource;

/// The connection settings for a `bullmq` queue or worker, as things stand now.
///
/// The crate knows no Sentinel: it gets the master of this moment, and reconnects to that one by
/// itself. After a failover, or when the address was rotated, ask again and build it anew.
///
/// # Errors
/// When a mounted file cannot be read, or no Sentinel names a master.
pub async fn bullmq_options(source: &RedisSource) -> Result<RedisConnectionOptions, QueueError> {
    let target = source.target().await?;
    let address = &target.address;
    let mut options = RedisConnectionOptions::new();
    options = match &address.topology {
        Topology::Single => options.url(address.url_of(&address.hosts[0], target.tls())),
        Topology::Sentinel { master } => options.url(sentinel::master_url(&target, master).await?),
        Topology::Cluster => {
            let nodes = address
                .hosts
                .iter()
                .map(|host| address.url_of(host, target.tls()));
            options.cluster_nodes(nodes)
        }
    };
    if let Some(ca) = target.ca {
        options = options.tls_certs(TlsCerts {
            root_cert: Some(ca),
            ..TlsCerts::default()
        });
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_server_keeps_credentials_and_database() {
        let options = options("redis://:p@redis/2").await;
        assert_eq!(options.effective_url(), "redis://:p@redis:6379/2");
    }

    #[tokio::test]
    async fn a_cluster_becomes_its_nodes() {
        let options = options("rediss-cluster://:p@a:1,b:2").await;
        assert!(options.is_cluster());
        assert_eq!(
            options.cluster_nodes,
            ["rediss://:p@a:1/0", "rediss://:p@b:2/0"]
        );
    }

    async fn options(address: &str) -> RedisConnectionOptions {
        let source = RedisSource::fixed(address.parse().unwrap());
        bullmq_options(&source).await.unwrap()
    }
}
