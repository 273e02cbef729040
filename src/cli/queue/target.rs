//! Which queue a command is about.

use std::fmt::Display;

use anyhow::anyhow;
use clap::Args;
use serde::Serialize;

use super::super::CommandError;
use super::super::answer::Answer;
use super::super::settings::{PipelineRedis, QueueSettings};
use crate::doctor::resolve::Resolver;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::names::QueueKeys;
use crate::queue::source::RedisSource;

/// A queue, by its name and address or by its pipeline.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The `CioPipeline` whose queue is meant; its Redis is found through the cluster.
    #[arg(id = "cio-pipeline", value_name = "PIPELINE")]
    pipeline: Option<String>,

    #[command(flatten)]
    place: Place,
}

/// The same where the first argument is another: the pipeline is an option.
#[derive(Debug, Args)]
pub(super) struct NamedTarget {
    /// The `CioPipeline` whose queue is meant; its Redis is found through the cluster.
    #[arg(id = "cio-pipeline", long = "in", value_name = "PIPELINE")]
    pipeline: Option<String>,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Place {
    /// The pipeline's namespace [default: that of the kubeconfig's context].
    #[arg(short, long, value_name = "NAMESPACE", requires = "cio-pipeline")]
    namespace: Option<String>,

    #[command(flatten)]
    redis: PipelineRedis,

    #[command(flatten)]
    queue: QueueSettings,
}

/// A queue that can be asked.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) redis: Redis,
    pub(super) keys: QueueKeys,
    /// Whether its address was meant for pods.
    from_cluster: bool,
}

impl Target {
    pub(super) async fn open(&self) -> Result<Opened, CommandError> {
        self.place.open(self.pipeline.as_deref()).await
    }
}

impl NamedTarget {
    pub(super) async fn open(&self) -> Result<Opened, CommandError> {
        self.place.open(self.pipeline.as_deref()).await
    }
}

impl Place {
    async fn open(&self, pipeline: Option<&str>) -> Result<Opened, CommandError> {
        let (source, keys, from_cluster) = match pipeline {
            None => (self.redis.source()?, self.queue.keys(), false),
            Some(name) => self.of_pipeline(name).await?,
        };
        let address = source.address().await.map_err(plain)?;
        let checked = address.check_keys(&keys);
        checked.map_err(|error| CommandError::Usage(error.to_string()))?;
        Ok(Opened {
            redis: Redis::new(source),
            keys,
            from_cluster,
        })
    }

    /// The pipeline's queue; a flag with an address replaces the one that its pods use.
    async fn of_pipeline(
        &self,
        name: &str,
    ) -> Result<(RedisSource, QueueKeys, bool), CommandError> {
        let client = kube::Client::try_default().await.map_err(|error| {
            let remedy = "cannot find the cluster of the pipeline; set KUBECONFIG";
            plain(format!("{remedy}: {error}"))
        })?;
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let found = Resolver::read(client, &namespace, name)
            .await
            .map_err(plain)?;
        let keys = found.keys().map_err(plain)?;
        match self.redis.source_if_given(Some(name))? {
            Some(source) => Ok((source, keys, false)),
            None => Ok((found.redis().await.map_err(plain)?, keys, true)),
        }
    }
}

impl Opened {
    /// The queue as a person names it: its prefix and its name.
    pub(super) fn name(&self) -> &str {
        self.keys.base().trim_end_matches(':')
    }

    /// Prints what came of a command, or says what went wrong.
    pub(super) async fn tell<T: Serialize>(
        &self,
        outcome: Result<T, QueueError>,
        answer: Answer,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), CommandError> {
        match outcome {
            Ok(result) => answer.print(&result, text),
            Err(error) => Err(self.failed(error).await),
        }
    }

    /// The queue as a person is asked about it, with its Redis; the address is shown without its password.
    pub(super) async fn shown(&self) -> String {
        format!("{} on Redis at {}", self.name(), self.address().await)
    }

    async fn address(&self) -> String {
        match self.redis.source().address().await {
            Ok(address) => address.to_string(),
            Err(_) => "its address".to_owned(),
        }
    }

    /// What went wrong, with the address and what may help.
    pub(super) async fn failed(&self, error: QueueError) -> CommandError {
        let address = self.address().await;
        let hint = if self.from_cluster {
            "; outside the cluster its names mean nothing: \
             `kubectl port-forward service/REDIS 6379` and --redis-url redis://127.0.0.1:6379"
        } else {
            ""
        };
        plain(format!("cannot use Redis at {address}: {error}{hint}"))
    }
}

/// These errors say their cause themselves; a chain would say it twice.
fn plain(error: impl Display) -> CommandError {
    CommandError::Failed(anyhow!("{error}"))
}
