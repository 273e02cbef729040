//! The site id alone, for whoever needs to know the workspace but delivers nothing.

use std::path::PathBuf;

use super::credentials::{CredentialsError, read_file};

/// Where a workspace's site id comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteId {
    /// Given once.
    Fixed(String),
    /// A file, read anew each time: a rotated Secret needs no restart.
    File(PathBuf),
}

impl SiteId {
    /// The site id as it is now.
    ///
    /// # Errors
    /// When the file is not there, or is empty.
    pub async fn read(&self) -> Result<String, CredentialsError> {
        match self {
            Self::Fixed(site_id) => Ok(site_id.clone()),
            Self::File(path) => read_file(path.clone()).await,
        }
    }
}
