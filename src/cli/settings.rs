//! Settings that several commands share, to be flattened into their arguments.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::CommandError;
use crate::delivery::client::{Endpoint, Region};
use crate::delivery::credentials::{Credentials, CredentialsSource};
use crate::queue::address::AddressError;
use crate::queue::names::{Prefix, QueueKeys, QueueName};
use crate::queue::source::RedisSource;

/// The guide's address, for a Redis on the same machine.
const DEFAULT_URL: &str = "redis://localhost:6379";

/// Where Redis is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Redis")]
pub(super) struct RedisSettings {
    /// Redis: redis://, rediss://, redis-cluster:// or redis-sentinel:// [default: localhost, port 6379].
    #[arg(
        id = "redis-url",
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    url: Option<Hidden>,

    /// A file that holds the address; read at every connection, wins over the address itself.
    #[arg(
        id = "redis-url-file",
        long,
        env = "CIO_REDIS_URL_FILE",
        value_name = "FILE"
    )]
    url_file: Option<PathBuf>,

    /// A certificate authority (PEM) to trust instead of the system's; means TLS.
    #[arg(
        id = "redis-ca-file",
        long,
        env = "CIO_REDIS_CA_FILE",
        value_name = "FILE"
    )]
    ca_file: Option<PathBuf>,
}

impl RedisSettings {
    /// Where the address comes from: the settings, else the guide's default.
    pub(super) fn source(&self) -> Result<RedisSource, CommandError> {
        match self.source_if_given()? {
            Some(source) => Ok(source),
            None => self.fixed(DEFAULT_URL),
        }
    }

    /// Likewise, but nothing where nobody set an address.
    pub(super) fn source_if_given(&self) -> Result<Option<RedisSource>, CommandError> {
        if let Some(path) = set(self.url_file.as_ref()) {
            let source = RedisSource::file(path.clone());
            return Ok(Some(source.with_ca_file(self.ca_file())));
        }
        match &self.url {
            Some(Hidden(url)) if !url.is_empty() => self.fixed(url).map(Some),
            _ => Ok(None),
        }
    }

    fn fixed(&self, url: &str) -> Result<RedisSource, CommandError> {
        let address = url
            .parse()
            .map_err(|error: AddressError| CommandError::Usage(error.to_string()))?;
        Ok(RedisSource::fixed(address).with_ca_file(self.ca_file()))
    }

    fn ca_file(&self) -> Option<PathBuf> {
        set(self.ca_file.as_ref()).cloned()
    }
}

/// Where Redis is for a command that may name a pipeline: beside a pipeline's name only the flags count, for a variable
/// of the shell belongs to another queue.
#[derive(Debug, Clone)]
pub(super) struct PipelineRedis {
    all: RedisSettings,
    flags: RedisSettings,
}

impl PipelineRedis {
    /// The address of a queue without a pipeline: flags, variables, the guide's default.
    pub(super) fn source(&self) -> Result<RedisSource, CommandError> {
        self.all.source()
    }

    /// What was given of it; of a pipeline's, by flags alone.
    pub(super) fn source_if_given(
        &self,
        pipeline: Option<&str>,
    ) -> Result<Option<RedisSource>, CommandError> {
        match pipeline {
            Some(_) => self.flags.source_if_given(),
            None => self.all.source_if_given(),
        }
    }
}

impl FromArgMatches for PipelineRedis {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let all = RedisSettings::from_arg_matches(matches)?;
        let flag = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        let flags = RedisSettings {
            url: all.url.clone().filter(|_| flag("redis-url")),
            url_file: all.url_file.clone().filter(|_| flag("redis-url-file")),
            ca_file: all.ca_file.clone(),
        };
        Ok(Self { all, flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for PipelineRedis {
    fn augment_args(command: Command) -> Command {
        RedisSettings::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        RedisSettings::augment_args_for_update(command)
    }
}

/// A manifest may set a variable to nothing; that is not setting it.
fn set(path: Option<&PathBuf>) -> Option<&PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty())
}

/// Which queue.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Queue")]
pub(super) struct QueueSettings {
    /// The BullMQ queue.
    #[arg(
        long,
        env = "CIO_QUEUE",
        default_value = "cio-events",
        value_name = "NAME"
    )]
    pub(super) queue: QueueName,

    /// What BullMQ's keys begin with.
    #[arg(
        long,
        env = "CIO_QUEUE_PREFIX",
        default_value = "bull",
        value_name = "PREFIX"
    )]
    pub(super) queue_prefix: Prefix,

    /// The pipeline's name in metrics [default: the queue's name].
    #[arg(long, env = "CIO_PIPELINE", value_name = "NAME")]
    pipeline: Option<String>,
}

impl QueueSettings {
    /// The keys of the queue.
    pub(super) fn keys(&self) -> QueueKeys {
        QueueKeys::new(&self.queue_prefix, &self.queue)
    }

    /// The metric's label.
    pub(super) fn pipeline(&self) -> &str {
        match self.pipeline.as_deref() {
            Some(name) if !name.is_empty() => name,
            _ => self.queue.as_str(),
        }
    }
}

/// Which workspace, and as whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Workspace")]
pub(super) struct WorkspaceSettings {
    /// The workspace's site id.
    #[arg(long, env = "CUSTOMERIO_SITE_ID", value_name = "ID")]
    site_id: Option<String>,

    /// Its Track API key. Better in the environment, where other users of the machine do not see it.
    #[arg(
        long,
        env = "CUSTOMERIO_TRACK_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    track_api_key: Option<String>,

    /// A folder with the files siteId and apiKey; read again on change, wins over the two settings.
    #[arg(long, env = "CUSTOMERIO_CREDENTIALS_DIR", value_name = "FOLDER")]
    credentials_dir: Option<PathBuf>,

    /// Where the workspace's data is kept: us or eu.
    #[arg(long, env = "CUSTOMERIO_REGION", default_value = "us")]
    pub(super) region: Region,

    /// Replaces the region's host, for example by a simulator.
    #[arg(long, env = "CUSTOMERIO_TRACK_URL", value_name = "URL")]
    track_url: Option<String>,
}

impl WorkspaceSettings {
    /// Where requests go.
    pub(super) fn endpoint(&self) -> Result<Endpoint, CommandError> {
        match self.track_url.as_deref().filter(|url| !url.is_empty()) {
            None => Ok(Endpoint::of(self.region)),
            Some(url) => url
                .parse()
                .map_err(|error| CommandError::Usage(format!("CUSTOMERIO_TRACK_URL: {error}"))),
        }
    }

    /// Where the credentials come from.
    pub(super) fn credentials(&self) -> Result<CredentialsSource, CommandError> {
        let folder = self.credentials_dir.as_ref();
        if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
            return Ok(CredentialsSource::Folder(folder.clone()));
        }
        Credentials::new(self.site_id.as_deref(), self.track_api_key.as_deref())
            .map(CredentialsSource::Fixed)
            .map_err(|error| CommandError::Usage(error.to_string()))
    }
}

/// At least one, and no more than a process could make use of.
pub(super) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=1_000) => Ok(count),
        _ => Err("write a number from 1 to 1000".to_owned()),
    }
}

/// Text that is not shown: an address may hold a password, and clap repeats what it refuses.
#[derive(Clone)]
struct Hidden(String);

impl FromStr for Hidden {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        redis: RedisSettings,
        #[command(flatten)]
        queue: QueueSettings,
    }

    #[test]
    fn the_pipeline_is_called_after_the_queue_unless_it_has_a_name() {
        for (arguments, pipeline) in [
            (&["--queue", "q"][..], "q"),
            (&["--queue", "q", "--pipeline", ""], "q"),
            (&["--queue", "q", "--pipeline", "events"], "events"),
        ] {
            assert_eq!(line(arguments).queue.pipeline(), pipeline);
        }
    }

    #[test]
    fn a_password_is_in_no_debug_text_and_in_no_error() {
        let settings = line(&["--redis-url", "http://:geheim@redis"]).redis;
        assert!(!format!("{settings:?}").contains("geheim"));
        let error = settings.source().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }

    #[tokio::test]
    async fn the_file_wins_over_the_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        std::fs::write(&path, "redis://from-file").unwrap();
        let path = path.to_str().unwrap();
        let settings = line(&["--redis-url", "redis://a", "--redis-url-file", path]).redis;
        let address = settings.source().unwrap().address().await.unwrap();
        assert_eq!(address.to_string(), "redis://from-file:6379/0");
    }

    #[test]
    fn a_colon_in_the_queue_name_is_a_usage_error() {
        let error = Line::try_parse_from(["cio", "--queue", "cio:events"]).unwrap_err();
        assert!(error.to_string().contains("cio-events"), "{error}");
    }

    fn line(arguments: &[&str]) -> Line {
        Line::try_parse_from([&["cio"], arguments].concat()).unwrap()
    }
}
