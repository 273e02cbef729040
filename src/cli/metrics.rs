//! `cio metrics`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::CommandError;
use super::settings::{QueueSettings, RedisSettings};
use crate::delivery::client::Region;
use crate::delivery::site_id::SiteId;
use crate::metrics::{LimitSource, Sidecar, Timing};
use crate::queue::connection::Redis;
use crate::queue::counts::CountsReader;
use crate::queue::names::QueueKeys;
use crate::runtime::clock::Clock;
use crate::runtime::{http_server, shutdown};

/// Publish one queue's metrics for Prometheus and for the adapter: the sidecar of a worker pod.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio metrics\n  \
    REDIS_URL=redis://redis:6379 CIO_QUEUE=cio-events cio metrics --port 9100\n  \
    curl -s localhost:9100/metrics | grep cio_queue_depth")]
pub(super) struct Metrics {
    /// The port of /metrics, /healthz and /readyz, on every address.
    #[arg(long, env = "CIO_METRICS_PORT", default_value_t = 9100)]
    port: u16,

    /// Seconds between two readings of the queue.
    #[arg(
        long,
        env = "CIO_METRICS_INTERVAL",
        default_value = "2",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    interval: Duration,

    /// The site id of the workspace whose limit is shown; none is shown without it.
    #[arg(long, env = "CUSTOMERIO_SITE_ID", value_name = "ID")]
    site_id: Option<String>,

    /// A file that holds the site id; read each time, wins over the setting.
    #[arg(long, env = "CIO_SITE_ID_FILE", value_name = "FILE")]
    site_id_file: Option<PathBuf>,

    /// Where the workspace's data is kept: us or eu.
    #[arg(long, env = "CUSTOMERIO_REGION", default_value = "us")]
    region: Region,

    /// What the workers are set to, over the whole workspace; 0 is no limit, and none is shown.
    #[arg(
        long,
        env = "CIO_REQUESTS_PER_SECOND",
        default_value_t = 80,
        value_name = "N"
    )]
    requests_per_second: u32,

    #[command(flatten)]
    redis: RedisSettings,

    #[command(flatten)]
    queue: QueueSettings,
}

impl Metrics {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let sidecar = self.sidecar().await?;
        let listener = http_server::bind(&format!("0.0.0.0:{}", self.port))
            .await
            .context("--port (CIO_METRICS_PORT)")?;
        let stop = shutdown::on_signals().context("install signal handlers")?;
        Ok(sidecar
            .run(listener, stop)
            .await
            .map_err(anyhow::Error::from)?)
    }

    async fn sidecar(&self) -> Result<Sidecar, CommandError> {
        let source = self.redis.source()?;
        let keys = self.queue.keys();
        // A mounted file may not be there yet, which is no reason to end; a wrong queue is one.
        if let Ok(address) = source.address().await {
            address
                .check_keys(&keys)
                .map_err(|error| CommandError::Usage(error.to_string()))?;
        }
        let redis = Redis::new(source);
        Ok(Sidecar {
            limit: self.limit(&redis, &keys),
            reader: CountsReader::new(redis, keys),
            pipeline: self.queue.pipeline().to_owned(),
            queue: self.queue.queue.clone(),
            timing: Timing {
                interval: self.interval,
                ..Timing::default()
            },
            clock: Clock::system(),
        })
    }
}

impl Metrics {
    fn limit(&self, redis: &Redis, keys: &QueueKeys) -> Option<LimitSource> {
        let given = self.site_id.as_deref().map(str::trim);
        let given = given.filter(|site_id| !site_id.is_empty());
        let file = self.site_id_file.clone().map(SiteId::File);
        let site_id = file.or_else(|| given.map(|given| SiteId::Fixed(given.to_owned())))?;
        (self.requests_per_second > 0).then(|| LimitSource {
            store: Arc::new(redis.clone()),
            region: self.region,
            site_id,
            whose: keys.base().to_owned(),
            requests_per_second: self.requests_per_second,
        })
    }
}

/// From 0.1 to 15 seconds: twice in a row may fail before a reading is stale.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=15.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("write a number of seconds from 0.1 to 15".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_has_bounds() {
        assert_eq!(seconds("2"), Ok(Duration::from_secs(2)));
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["", "0", "-1", "16", "NaN", "2s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
