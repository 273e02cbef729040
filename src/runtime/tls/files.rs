//! A certificate and its key as mounted files, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at. A kubelet needs up to a minute to renew a mounted Secret.
const INTERVAL: Duration = Duration::from_secs(10);

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file is not there or not readable.
    #[error("cannot read {path}: {source}; mount the certificate's Secret there")]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} holds no {expected} in PEM form")]
    ParsePem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// Certificate and key do not belong together, as for a moment while both are replaced.
    #[error("certificate and key do not fit together: {0}")]
    PairKeys(rustls::Error),
}

/// Where a certificate (leaf first) and its private key lie.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The chain, PEM.
    pub certificate: PathBuf,
    /// The key, PEM (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// The bytes of both files: what tells whether they changed.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Follows the files; made by [`CertificateFiles::open`].
pub struct CertificateFollower {
    files: CertificateFiles,
    seen: Contents,
    current: watch::Sender<Arc<CertifiedKey>>,
}

impl CertificateFiles {
    /// Reads the files once, and gives what keeps the certificate up to date.
    ///
    /// # Errors
    /// When there is nothing to start with.
    pub async fn open(
        self,
    ) -> Result<(CertificateFollower, watch::Receiver<Arc<CertifiedKey>>), CertificateError> {
        let seen = self.contents().await?;
        let (current, receiver) = watch::channel(self.parse(&seen)?);
        let follower = CertificateFollower {
            files: self,
            seen,
            current,
        };
        Ok((follower, receiver))
    }

    async fn contents(&self) -> Result<Contents, CertificateError> {
        Ok(Contents {
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
        })
    }

    fn parse(&self, contents: &Contents) -> Result<Arc<CertifiedKey>, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(&contents.certificate)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| CertificateError::ParsePem {
                path: self.certificate.clone(),
                expected: "certificate",
            })?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| {
            CertificateError::ParsePem {
                path: self.key.clone(),
                expected: "private key",
            }
        })?;
        CertifiedKey::from_der(chain, key, &super::provider())
            .map(Arc::new)
            .map_err(CertificateError::PairKeys)
    }
}

impl CertificateFollower {
    /// Looks at the files again and again. What cannot be used is reported and left alone: the
    /// certificate in use stays.
    pub async fn run(mut self, stop: CancellationToken) {
        while stop
            .run_until_cancelled(tokio::time::sleep(INTERVAL))
            .await
            .is_some()
        {
            match self.refresh().await {
                Ok(true) => tracing::info!("serving with the renewed certificate"),
                Ok(false) => {}
                Err(error) => tracing::error!(
                    error = %error,
                    "cannot use the changed certificate, serving with the one before"
                ),
            }
        }
    }

    /// Whether a changed certificate took over.
    ///
    /// # Errors
    /// When the files changed into something that cannot be used.
    pub async fn refresh(&mut self) -> Result<bool, CertificateError> {
        let contents = self.files.contents().await?;
        if contents == self.seen {
            return Ok(false);
        }
        self.current.send_replace(self.files.parse(&contents)?);
        self.seen = contents;
        Ok(true)
    }
}

impl std::fmt::Debug for CertificateFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateFollower")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| CertificateError::ReadFile {
            path: path.to_path_buf(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        certificate: String,
        key: String,
    }

    fn pair() -> Pair {
        let made = rcgen::generate_simple_self_signed(["adapter.cio.svc".to_owned()]).unwrap();
        Pair {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn write(files: &CertificateFiles, certificate: &str, key: &str) {
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
    }

    fn in_folder(folder: &Path) -> CertificateFiles {
        CertificateFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
        }
    }

    #[tokio::test]
    async fn a_changed_pair_takes_over_and_a_half_changed_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = in_folder(folder.path());
        let (first, second) = (pair(), pair());
        write(&files, &first.certificate, &first.key);
        let (mut follower, current) = files.clone().open().await.unwrap();
        let before = current.borrow().cert[0].clone();
        assert!(!follower.refresh().await.unwrap());

        write(&files, &second.certificate, &first.key);
        let error = follower.refresh().await.unwrap_err();
        assert!(matches!(error, CertificateError::PairKeys(_)), "{error}");
        assert_eq!(current.borrow().cert[0], before);

        write(&files, &second.certificate, &second.key);
        assert!(follower.refresh().await.unwrap());
        assert_ne!(current.borrow().cert[0], before);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_named_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let files = in_folder(folder.path());
        let missing = files.clone().open().await.unwrap_err().to_string();
        assert!(
            missing.contains("tls.crt") && missing.contains("Secret"),
            "{missing}"
        );

        write(&files, "not a certificate", &pair().key);
        let garbage = files.clone().open().await.unwrap_err().to_string();
        assert!(
            garbage.ends_with("tls.crt holds no certificate in PEM form"),
            "{garbage}"
        );

        write(&files, &pair().certificate, "not a key");
        let garbage = files.open().await.unwrap_err().to_string();
        assert!(
            garbage.ends_with("tls.key holds no private key in PEM form"),
            "{garbage}"
        );
    }
}
