//! Whether the removal is verified through the App API.

use std::fmt;

use clap::Args;

use crate::cli::CommandError;
use crate::delivery::client::{Endpoint, Region};
use crate::loadtest::app_api::{self, AppApi, MakeError};
use crate::loadtest::run::Verification;

/// The App API.
#[derive(Args)]
#[command(next_help_heading = "Verification")]
pub(super) struct Verify {
    /// An App API key: the removal of test users is then verified. Better in the environment.
    #[arg(
        long,
        env = "CUSTOMERIO_APP_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    app_api_key: Option<String>,

    /// Replaces the App API's host [default: the region's; where that of the Track API is replaced, the same].
    #[arg(long, env = "CUSTOMERIO_APP_API_URL", value_name = "URL")]
    app_api_url: Option<String>,

    /// Verify so many users, evenly spread, in place of all; 100 need one of the API's 10 requests a second.
    #[arg(long = "verify-sample", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verify")
    }
}

impl Verify {
    /// How to verify, where there is a key.
    pub(super) fn read(
        &self,
        endpoint: &Endpoint,
        region: Region,
    ) -> Result<Option<Verification>, CommandError> {
        let given = |text: &&String| !text.is_empty();
        let Some(key) = self.app_api_key.as_ref().filter(given) else {
            return Ok(None);
        };
        let url = match self.app_api_url.as_ref().filter(given) {
            Some(url) => {
                let url: Result<Endpoint, _> = url.parse();
                let url =
                    url.map_err(|error| super::usage(format!("CUSTOMERIO_APP_API_URL: {error}")))?;
                url.as_str().to_owned()
            }
            // With a simulator in the place of one API, the key does not go to the real other one.
            None if *endpoint != Endpoint::of(region) => endpoint.as_str().to_owned(),
            None => app_api::host(region).to_owned(),
        };
        let api = AppApi::new(url, key).map_err(|error| match error {
            MakeError::ReadKey(_) => super::usage(error),
            MakeError::Certificates(_) => CommandError::Failed(error.into()),
        })?;
        let sample = self.sample.map(|it| it as usize);
        Ok(Some(Verification {
            api,
            sample: sample.unwrap_or(usize::MAX),
        }))
    }
}
