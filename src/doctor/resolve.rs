//! What a pipeline's pods are given, read with the rights of the person who asks: its queue, the
//! address of its Redis, its credentials.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::api::CioPipeline;
use crate::api::pipeline::SecretKeyRef;
use crate::delivery::credentials::{Credentials, CredentialsError};
use crate::queue::address::AddressError;
use crate::queue::names::{NameError, Prefix, QueueKeys, QueueName};
use crate::queue::source::RedisSource;

/// Why it cannot be read, with what to do about it. No message holds a Secret's value.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is none of that name.
    #[error("there is no {what} {namespace}/{name}; check the name, and the namespace with -n")]
    Missing {
        /// Its kind.
        what: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The Secret lacks the key.
    #[error("Secret {namespace}/{secret} has no key {key:?}; it has: {has}")]
    NoKey {
        /// Its namespace.
        namespace: String,
        /// Its name.
        secret: String,
        /// The key that the pipeline names.
        key: String,
        /// The keys it has.
        has: String,
    },
    /// The Secret's value is no text.
    #[error("key {key:?} of Secret {secret} is not text in UTF-8")]
    NotText {
        /// Its name.
        secret: String,
        /// The key.
        key: String,
    },
    /// Reading is forbidden, or the API server failed.
    #[error("cannot read {what} {name}: {source}")]
    Read {
        /// Its kind.
        what: &'static str,
        /// Its name.
        name: String,
        /// What the API server said.
        source: kube::Error,
    },
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The queue's name or prefix cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The credentials are empty.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Neither a URL nor a Secret with one: the API server refuses that, an old object may have it.
    #[error("spec.queue.redis of {0} has neither url nor urlSecretRef; give one of them")]
    NoAddress(String),
}

impl ResolveError {
    /// Whether the person lacks the right to read it.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Read { source: kube::Error::Api(status), .. } if status.code == 403)
    }
}

/// A `CioPipeline` in its cluster.
#[derive(Clone)]
pub struct Resolver {
    client: Client,
    namespace: String,
    pipeline: CioPipeline,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.pipeline.metadata.name.as_deref();
        write!(
            f,
            "Resolver({}/{})",
            self.namespace,
            name.unwrap_or_default()
        )
    }
}

impl Resolver {
    /// Reads the pipeline `name`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn read(client: Client, namespace: &str, name: &str) -> Result<Self, ResolveError> {
        let api = Api::<CioPipeline>::namespaced(client.clone(), namespace);
        let got = api.get(name).await;
        Ok(Self {
            client,
            namespace: namespace.to_owned(),
            pipeline: got.map_err(|source| failed("CioPipeline", namespace, name, source))?,
        })
    }

    /// The resource.
    pub fn pipeline(&self) -> &CioPipeline {
        &self.pipeline
    }

    /// The keys of its queue.
    ///
    /// # Errors
    /// When its names are none that BullMQ takes.
    pub fn keys(&self) -> Result<QueueKeys, ResolveError> {
        let queue = &self.pipeline.spec.queue;
        let prefix: Prefix = queue.prefix.parse()?;
        let name: QueueName = queue.name.parse()?;
        Ok(QueueKeys::new(&prefix, &name))
    }

    /// Where its Redis is, as its pods are told.
    ///
    /// # Errors
    /// When a Secret cannot be read or holds no address.
    pub async fn redis(&self) -> Result<RedisSource, ResolveError> {
        let redis = &self.pipeline.spec.queue.redis;
        let name = self.pipeline.metadata.name.clone().unwrap_or_default();
        let url = match (&redis.url, &redis.url_secret_ref) {
            (Some(url), _) => url.clone(),
            (None, Some(key)) => self.secret_text(key).await?,
            (None, None) => return Err(ResolveError::NoAddress(name)),
        };
        let ca = match &redis.ca_secret_ref {
            Some(key) => Some(self.secret(key).await?),
            None => None,
        };
        Ok(RedisSource::fixed(url.parse()?).with_ca(ca))
    }

    /// The credentials that its workers use.
    ///
    /// # Errors
    /// When the Secret cannot be read or lacks one of them.
    pub async fn credentials(&self) -> Result<Credentials, ResolveError> {
        let from = &self.pipeline.spec.workspace.credentials_secret_ref;
        let key = |key: &str| SecretKeyRef {
            name: from.name.clone(),
            key: key.to_owned(),
        };
        let site_id = self.secret_text(&key(&from.site_id_key)).await?;
        let api_key = self.secret_text(&key(&from.api_key_key)).await?;
        Ok(Credentials::new(Some(&site_id), Some(&api_key))?)
    }

    async fn secret_text(&self, key: &SecretKeyRef) -> Result<String, ResolveError> {
        let text = String::from_utf8(self.secret(key).await?);
        text.map_err(|_| ResolveError::NotText {
            secret: key.name.clone(),
            key: key.key.clone(),
        })
    }

    async fn secret(&self, key: &SecretKeyRef) -> Result<Vec<u8>, ResolveError> {
        let api = Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let got = api.get(&key.name).await;
        let secret = got.map_err(|source| failed("Secret", &self.namespace, &key.name, source))?;
        let mut data = secret.data.unwrap_or_default();
        let value = data.remove(&key.key);
        value
            .map(|value| value.0)
            .ok_or_else(|| ResolveError::NoKey {
                namespace: self.namespace.clone(),
                secret: key.name.clone(),
                key: key.key.clone(),
                has: data.into_keys().collect::<Vec<_>>().join(", "),
            })
    }
}

fn failed(what: &'static str, namespace: &str, name: &str, source: kube::Error) -> ResolveError {
    match source {
        kube::Error::Api(status) if status.code == 404 => ResolveError::Missing {
            what,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        source => ResolveError::Read {
            what,
            name: format!("{namespace}/{name}"),
            source,
        },
    }
}
