//! What the Secret holds. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::inspect::split;

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const AUTHORITIES: &str = "ca.crt";
/// Set by a person who wants a new certificate now; removed when it is on its way.
pub(super) const ROTATE: &str = "cio.dev/rotate";

/// A certificate and its key, PEM. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

/// The Secret's contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// What adapters serve with.
    pub(super) current: Option<Pair>,
    /// What they will serve with.
    pub(super) next: Option<Pair>,
    /// Whom callers believe, PEM.
    pub(super) authorities: Vec<String>,
    /// A person asked for a new one.
    pub(super) rotate: bool,
}

impl Stored {
    pub(super) fn read(secret: &Secret) -> Self {
        let text = |key: &str| {
            let bytes = secret.data.as_ref()?.get(key)?;
            String::from_utf8(bytes.0.clone()).ok()
        };
        let pair = |certificate, key| {
            Some(Pair {
                certificate: text(certificate)?,
                key: text(key)?,
            })
        };
        let annotations = secret.metadata.annotations.as_ref();
        Self {
            current: pair(CERTIFICATE, KEY),
            next: pair(NEXT_CERTIFICATE, NEXT_KEY),
            authorities: split(&text(AUTHORITIES).unwrap_or_default()),
            rotate: annotations.is_some_and(|annotations| annotations.contains_key(ROTATE)),
        }
    }

    /// The Secret with these contents; what else is in it stays, above all its `resourceVersion`.
    pub(super) fn write(&self, mut secret: Secret) -> Secret {
        let pairs = [
            (CERTIFICATE, KEY, &self.current),
            (NEXT_CERTIFICATE, NEXT_KEY, &self.next),
        ];
        let mut data = BTreeMap::from([(AUTHORITIES.to_owned(), bytes(&self.bundle()))]);
        for (certificate, key, pair) in pairs {
            let Some(pair) = pair else { continue };
            data.insert(certificate.to_owned(), bytes(&pair.certificate));
            data.insert(key.to_owned(), bytes(&pair.key));
        }
        secret.data = Some(data);
        if let Some(annotations) = &mut secret.metadata.annotations
            && !self.rotate
        {
            annotations.remove(ROTATE);
        }
        secret
    }

    /// What every `caBundle` should be.
    pub(super) fn bundle(&self) -> String {
        self.authorities.concat()
    }
}

fn bytes(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}
