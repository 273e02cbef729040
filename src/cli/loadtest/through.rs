//! Directly, or through the queue.

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::CommandError;
use crate::cli::settings::{QueueSettings, RedisSettings};
use crate::loadtest::queued::{Doubt, QueueTarget};
use crate::loadtest::report::Way;
use crate::loadtest::thresholds::Threshold;
use crate::loadtest::workspace;

/// Which way the operations go.
#[derive(Debug, Args)]
pub(super) struct Through {
    /// `queue` puts them into the queue, for workers that run already, and measures how long adding and acceptance
    /// take; `api` sends them.
    #[arg(long = "through", value_name = "WAY", value_parser = ways(), default_value = Way::Api.as_str(), help_heading = "Load")]
    way: Way,

    /// The queue's name once more: its workers deliver to a staging workspace. Without it only a queue on a Redis on
    /// loopback is loaded.
    #[arg(long, value_name = "NAME", help_heading = "Load")]
    staging_queue: Option<String>,

    #[command(flatten)]
    redis: RedisSettings,

    #[command(flatten)]
    queue: QueueSettings,
}

fn ways() -> impl TypedValueParser<Value = Way> {
    let [api, queue] = [Way::Api, Way::Queue].map(Way::as_str);
    PossibleValuesParser::new([api, queue]).map(
        move |it| {
            if it == queue { Way::Queue } else { Way::Api }
        },
    )
}

impl Through {
    /// The chosen one.
    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// The queue, where it goes through one; refuses a threshold that nothing is measured for, and a rate that
    /// `adapts` to 429s which nobody sees.
    pub(super) async fn read(
        &self,
        thresholds: &[Threshold],
        adapts: bool,
    ) -> Result<Option<QueueTarget>, CommandError> {
        let through_queue = self.way == Way::Queue;
        if through_queue && adapts {
            return Err(CommandError::Usage(
                "--adapt: with --through queue the workers see the 429s, not this test: leave out --adapt, or find \
                 the rate with --through api"
                    .to_owned(),
            ));
        }
        let unmeasured = thresholds.iter().find(|it| !it.is_measured(through_queue));
        if let Some(threshold) = unmeasured {
            let way = self.way.as_str();
            return Err(CommandError::Usage(format!(
                "threshold '{}: {}': --through {way} measures no such thing",
                threshold.metric, threshold.expression
            )));
        }
        if !through_queue {
            return Ok(None);
        }
        let source = self.redis.source()?;
        let address = source.address().await.context("--redis-url-file")?;
        let usable = address.check_keys(&self.queue.keys());
        usable.map_err(super::usage)?;
        let (queue, staging) = (self.queue.queue.as_str(), self.staging_queue.as_deref());
        workspace::check_queue(&address, queue, staging).map_err(super::usage)?;
        Ok(Some(QueueTarget {
            source,
            prefix: self.queue.queue_prefix.clone(),
            queue: self.queue.queue.clone(),
            doubt: Doubt::default(),
        }))
    }
}
