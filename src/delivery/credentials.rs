//! The workspace's credentials: from the environment, or from files that are read again when they
//! change, so that a rotated Secret needs no restart.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The files in a credentials folder, as the operator mounts them.
const FILES: [&str; 2] = ["siteId", "apiKey"];
/// How often the files are looked at. A kubelet needs up to a minute to bring them.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Site id and Track API key of a workspace. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    site_id: String,
    api_key: String,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A variable is not set.
    #[error(
        "{0} is not set: it is in the workspace's settings under API credentials, Track API key"
    )]
    Missing(&'static str),
    /// A file of the folder cannot be read.
    #[error("CUSTOMERIO_CREDENTIALS_DIR: cannot read {path}: {error}")]
    ReadFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file of the folder is empty.
    #[error("CUSTOMERIO_CREDENTIALS_DIR: {0} is empty")]
    EmptyFile(PathBuf),
}

impl Credentials {
    /// Credentials from two settings.
    pub fn new(site_id: Option<&str>, api_key: Option<&str>) -> Result<Self, CredentialsError> {
        let given = |value: Option<&str>, name| {
            let value = value.map(str::trim).filter(|value| !value.is_empty());
            value
                .map(str::to_owned)
                .ok_or(CredentialsError::Missing(name))
        };
        Ok(Self {
            site_id: given(site_id, "CUSTOMERIO_SITE_ID")?,
            api_key: given(api_key, "CUSTOMERIO_TRACK_API_KEY")?,
        })
    }

    /// The site id: it names the workspace, and is no secret by itself.
    pub fn site_id(&self) -> &str {
        &self.site_id
    }

    /// The value of the Authorization header.
    pub(super) fn basic(&self) -> String {
        let pair = format!("{}:{}", self.site_id, self.api_key);
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Where credentials come from.
#[derive(Debug, Clone)]
pub enum CredentialsSource {
    /// Given once.
    Fixed(Credentials),
    /// The files `siteId` and `apiKey` in a folder.
    Folder(PathBuf),
}

impl CredentialsSource {
    /// The credentials as they are now.
    pub async fn read(&self) -> Result<Credentials, CredentialsError> {
        match self {
            Self::Fixed(credentials) => Ok(credentials.clone()),
            Self::Folder(folder) => {
                let [site_id, api_key] = FILES.map(|name| folder.join(name));
                Ok(Credentials {
                    site_id: read_file(site_id).await?,
                    api_key: read_file(api_key).await?,
                })
            }
        }
    }

    /// The credentials, kept up to date until `stop`.
    pub async fn watch(
        self,
        stop: CancellationToken,
    ) -> Result<watch::Receiver<Arc<Credentials>>, CredentialsError> {
        let (sender, receiver) = watch::channel(Arc::new(self.read().await?));
        if matches!(self, Self::Folder(_)) {
            tokio::spawn(async move {
                stop.run_until_cancelled(self.follow(sender)).await;
            });
        }
        Ok(receiver)
    }

    async fn follow(self, sender: watch::Sender<Arc<Credentials>>) {
        let mut readable = true;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.read().await {
                Ok(credentials) => {
                    readable = true;
                    if **sender.borrow() != credentials {
                        tracing::info!(
                            "the workspace's credentials have changed; using the new ones"
                        );
                        sender.send_replace(Arc::new(credentials));
                    }
                }
                Err(error) if readable => {
                    readable = false;
                    tracing::warn!(error = %error, "keeping the credentials read before");
                }
                Err(_) => {}
            }
        }
    }
}

pub(super) async fn read_file(path: PathBuf) -> Result<String, CredentialsError> {
    match tokio::fs::read_to_string(&path).await {
        Ok(text) if text.trim().is_empty() => Err(CredentialsError::EmptyFile(path)),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) => Err(CredentialsError::ReadFile { path, error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_is_named() {
        for (site_id, api_key, name) in [
            (None, Some("k"), "CUSTOMERIO_SITE_ID"),
            (Some(" "), Some("k"), "CUSTOMERIO_SITE_ID"),
            (Some("s"), None, "CUSTOMERIO_TRACK_API_KEY"),
        ] {
            let error = Credentials::new(site_id, api_key).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_header_is_the_standard_one_and_debug_shows_nothing() {
        let credentials = Credentials::new(Some("site"), Some("geheim")).unwrap();
        assert_eq!(credentials.basic(), "Basic c2l0ZTpnZWhlaW0=");
        assert!(!format!("{credentials:?}").contains("geheim"));
    }

    #[tokio::test]
    async fn files_are_read_without_the_line_end_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let source = CredentialsSource::Folder(folder.path().to_owned());
        std::fs::write(folder.path().join("siteId"), "s\n").unwrap();
        let error = source.read().await.unwrap_err().to_string();
        assert!(error.contains("apiKey"), "{error}");
        std::fs::write(folder.path().join("apiKey"), "k\n").unwrap();
        let read = source.read().await.unwrap();
        assert_eq!(read, Credentials::new(Some("s"), Some("k")).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_the_files_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            std::fs::write(folder.path().join(name), "old").unwrap();
        }
        let source = CredentialsSource::Folder(folder.path().to_owned());
        let stop = CancellationToken::new();
        let mut live = source.watch(stop.clone()).await.unwrap();
        std::fs::write(folder.path().join("apiKey"), "new").unwrap();
        live.changed().await.unwrap();
        assert_eq!(live.borrow().api_key, "new");
        stop.cancel();
    }
}
