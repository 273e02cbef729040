//! Whose certificates are believed: the cluster's own configuration for aggregated servers.
//!
//! Source: the `ConfigMap` `kube-system/extension-apiserver-authentication`, written by kube-apiserver
//! (`k8s.io/apiserver/pkg/server/options/authentication.go`); name lists in it are JSON arrays in
//! strings.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::front_proxy::HeaderNames;
use crate::runtime::tls;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A bundle is no bundle of certificates.
    #[error("{key}: {cause}")]
    ReadBundle {
        /// The key in the `ConfigMap`.
        key: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// A list of names is no JSON array of strings.
    #[error("{key} is no JSON array of strings: {source}")]
    ReadNames {
        /// The key in the `ConfigMap`.
        key: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// An authority for client certificates: a verifier of its own, so that it can be told which
/// authority a certificate comes from.
#[derive(Debug, Clone)]
struct Authority {
    roots: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Whose certificates are believed, and for what. The default believes nobody.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    front_proxy: Option<Authority>,
    /// Common names that the front proxy may have; empty: any.
    allowed_names: Vec<String>,
    headers: HeaderNames,
    clients: Option<Authority>,
}

impl Trust {
    /// Reads the `ConfigMap`'s data. An authority that is absent makes nobody believed.
    ///
    /// # Errors
    /// Which key cannot be read; a caller keeps what it had.
    pub fn from_config(data: &BTreeMap<String, String>) -> Result<Self, TrustError> {
        Ok(Self {
            front_proxy: authority(data, "requestheader-client-ca-file")?,
            allowed_names: names(data, "requestheader-allowed-names")?,
            headers: HeaderNames {
                user: names(data, "requestheader-username-headers")?,
                uid: names(data, "requestheader-uid-headers")?,
                group: names(data, "requestheader-group-headers")?,
                extra_prefix: names(data, "requestheader-extra-headers-prefix")?,
            },
            clients: authority(data, "client-ca-file")?,
        })
    }

    /// Whether a front proxy can be recognised; without it no HPA gets an answer.
    pub fn knows_front_proxy(&self) -> bool {
        self.front_proxy.is_some()
    }

    /// For the handshake: certificates of either authority are welcome, and none as well, for
    /// health checks and callers with a token. None when no authority is known.
    ///
    /// # Errors
    /// When the authorities together make no verifier.
    pub fn verifier(&self) -> Result<Option<Arc<dyn ClientCertVerifier>>, TrustError> {
        let authorities = self.front_proxy.iter().chain(&self.clients);
        let roots: Vec<_> = authorities
            .flat_map(|authority| authority.roots.clone())
            .collect();
        if roots.is_empty() {
            return Ok(None);
        }
        let builder = WebPkiClientVerifier::builder_with_provider(
            store("client authorities", &roots),
            tls::provider(),
        );
        let verifier = builder.allow_unauthenticated().build();
        let verifier = verifier.map_err(|error| unusable("client authorities", &error))?;
        Ok(Some(verifier))
    }

    /// The header names to read, when `chain` is the front proxy's certificate now.
    pub(super) fn front_proxy_headers(
        &self,
        chain: &[CertificateDer<'static>],
        common_name: &str,
        now: UnixTime,
    ) -> Option<&HeaderNames> {
        let may = self.allowed_names.is_empty()
            || self.allowed_names.iter().any(|name| name == common_name);
        (may && verified(self.front_proxy.as_ref(), chain, now)).then_some(&self.headers)
    }

    /// Whether `chain` is the certificate of a user of this cluster now.
    pub(super) fn is_client(&self, chain: &[CertificateDer<'static>], now: UnixTime) -> bool {
        verified(self.clients.as_ref(), chain, now)
    }
}

/// Checked again for every request: authorities change and certificates expire while connections
/// live.
fn verified(
    authority: Option<&Authority>,
    chain: &[CertificateDer<'static>],
    now: UnixTime,
) -> bool {
    let (Some(authority), Some((leaf, intermediates))) = (authority, chain.split_first()) else {
        return false;
    };
    authority
        .verifier
        .verify_client_cert(leaf, intermediates, now)
        .is_ok()
}

fn authority(
    data: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<Option<Authority>, TrustError> {
    let Some(pem) = data.get(key).filter(|pem| !pem.trim().is_empty()) else {
        return Ok(None);
    };
    let roots = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(key, &error))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(store(key, &roots), tls::provider())
        .build()
        .map_err(|error| unusable(key, &error))?;
    Ok(Some(Authority { roots, verifier }))
}

/// One strange certificate in a bundle does not take away the others.
fn store(key: &'static str, roots: &[CertificateDer<'static>]) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    let (_, ignored) = store.add_parsable_certificates(roots.iter().cloned());
    if ignored > 0 {
        tracing::warn!(ignored, "{key} holds certificates that cannot be read");
    }
    Arc::new(store)
}

fn unusable(key: &'static str, error: &dyn std::fmt::Display) -> TrustError {
    TrustError::ReadBundle {
        key,
        cause: error.to_string(),
    }
}

fn names(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, TrustError> {
    match data.get(key).filter(|text| !text.trim().is_empty()) {
        None => Ok(Vec::new()),
        Some(text) => {
            serde_json::from_str(text).map_err(|source| TrustError::ReadNames { key, source })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn name_lists_are_json_arrays_in_strings() {
        let trust = Trust::from_config(&data(&[
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-uid-headers", ""),
        ]))
        .unwrap();
        assert_eq!(trust.allowed_names, ["front-proxy-client"]);
        assert_eq!(trust.headers.user, ["X-Remote-User"]);
        assert!(!trust.knows_front_proxy());
        assert!(trust.verifier().unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_key() {
        for (key, value) in [
            ("requestheader-allowed-names", "front-proxy-client"),
            ("requestheader-client-ca-file", "not a certificate"),
            (
                "client-ca-file",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
        ] {
            let error = Trust::from_config(&data(&[(key, value)])).unwrap_err();
            assert!(error.to_string().starts_with(key), "{key}: {error}");
        }
    }

    #[test]
    fn by_default_nobody_is_believed() {
        let chain = [CertificateDer::from(vec![1, 2, 3])];
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_hours(490_000));
        let trust = Trust::default();
        assert_eq!(
            trust.front_proxy_headers(&chain, "front-proxy-client", now),
            None
        );
        assert!(!trust.is_client(&chain, now));
    }
}
