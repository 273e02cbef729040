//! Where the address comes from: a setting, or files that a Secret is mounted as.

use std::path::{Path, PathBuf};

use super::QueueError;
use super::address::RedisAddress;

/// A source of the Redis address; asked again at every connection, so that a rotated Secret
/// needs no restart.
#[derive(Debug, Clone)]
pub struct RedisSource {
    address: AddressSource,
    ca: Option<CaSource>,
}

#[derive(Debug, Clone)]
enum CaSource {
    Fixed(Vec<u8>),
    File(PathBuf),
}

#[derive(Debug, Clone)]
enum AddressSource {
    Fixed(RedisAddress),
    File(PathBuf),
}

/// What a connection is made of at one moment.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) address: RedisAddress,
    /// A certificate authority in PEM, instead of the system's. Having one means TLS.
    pub(super) ca: Option<Vec<u8>>,
}

impl Target {
    pub(super) fn tls(&self) -> bool {
        self.address.tls || self.ca.is_some()
    }
}

impl RedisSource {
    /// Always the same address.
    pub fn fixed(address: RedisAddress) -> Self {
        Self {
            address: AddressSource::Fixed(address),
            ca: None,
        }
    }

    /// The address that the file `path` holds at the time of connecting.
    pub fn file(path: PathBuf) -> Self {
        Self {
            address: AddressSource::File(path),
            ca: None,
        }
    }

    /// Trusts the certificate authority in the file `path` (PEM) instead of the system's, and
    /// speaks TLS even where the address does not ask for it.
    #[must_use]
    pub fn with_ca_file(mut self, path: Option<PathBuf>) -> Self {
        self.ca = path.map(CaSource::File);
        self
    }

    /// Likewise, with the certificate authority itself (PEM).
    #[must_use]
    pub fn with_ca(mut self, pem: Option<Vec<u8>>) -> Self {
        self.ca = pem.map(CaSource::Fixed);
        self
    }

    /// The address as it is now.
    pub async fn address(&self) -> Result<RedisAddress, QueueError> {
        match &self.address {
            AddressSource::Fixed(address) => Ok(address.clone()),
            AddressSource::File(path) => {
                let text = read(path).await?;
                Ok(String::from_utf8_lossy(&text).parse()?)
            }
        }
    }

    pub(super) async fn target(&self) -> Result<Target, QueueError> {
        let ca = match &self.ca {
            Some(CaSource::File(path)) => Some(read(path).await?),
            Some(CaSource::Fixed(pem)) => Some(pem.clone()),
            None => None,
        };
        Ok(Target {
            address: self.address().await?,
            ca,
        })
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, QueueError> {
    tokio::fs::read(path)
        .await
        .map_err(|error| QueueError::ReadFile {
            path: path.to_owned(),
            error,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        let source = RedisSource::file(path.clone());
        for (text, shown) in [
            ("redis://:old@a\n", "redis://a:6379/0"),
            ("redis://:new@b\n", "redis://b:6379/0"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(source.address().await.unwrap().to_string(), shown);
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let source = RedisSource::file("/nowhere/url".into());
        let error = source.address().await.unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/url"), "{error}");
    }

    #[tokio::test]
    async fn a_certificate_authority_means_tls() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        std::fs::write(&path, "pem").unwrap();
        let source = RedisSource::fixed("redis://a".parse().unwrap());
        assert!(!source.target().await.unwrap().tls());
        let source = source.with_ca_file(Some(path));
        assert!(source.target().await.unwrap().tls());
    }
}
