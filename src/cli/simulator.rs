//! `cio simulator`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use prometheus::Registry;

use super::CommandError;
use crate::runtime::admin::{self, Readiness};
use crate::runtime::clock::Clock;
use crate::runtime::{http_server, shutdown};
use crate::simulator::{self, Options};

/// Run a Customer.io workspace look-alike for tests, demos and staging.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  cio simulator --listen 127.0.0.1:8080 --latency 50\n\
    Then: CUSTOMERIO_TRACK_URL=http://127.0.0.1:8080, and look at http://127.0.0.1:8080/"
)]
pub(super) struct Simulator {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    listen: String,

    /// Credentials to accept; may be given several times. Without it any are accepted.
    #[arg(long, value_name = "SITE:KEY", value_parser = credentials)]
    credentials: Vec<(String, String)>,

    /// Requests in any span of one second for each site id; more get 429. Without it: no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_second: Option<u32>,

    /// How long every answer takes, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(..=600_000))]
    latency: u64,

    /// How many event ids are remembered to recognise duplicates.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    keep_events: usize,

    /// The region it says it is in.
    #[arg(long, default_value = "us")]
    region: Region,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Region {
    Us,
    Eu,
}

fn credentials(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((site, key)) if !site.is_empty() && !key.is_empty() => {
            Ok((site.to_owned(), key.to_owned()))
        }
        _ => Err("write SITE:KEY, both not empty".to_owned()),
    }
}

impl Simulator {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let stop = shutdown::on_signals().context("failed to listen for signals")?;
        let listener = http_server::bind(&self.listen)
            .await
            .map_err(anyhow::Error::from)?;
        let address = listener
            .local_addr()
            .context("failed to read the address")?;
        tracing::info!(%address, "simulator started; it is not the real Customer.io");
        let readiness = Readiness::default();
        readiness.ready();
        let options = Options {
            credentials: self.credentials.into_iter().collect::<BTreeMap<_, _>>(),
            requests_per_second: self.requests_per_second,
            latency: Duration::from_millis(self.latency),
            keep_events: self.keep_events,
            region: match self.region {
                Region::Us => "us".to_owned(),
                Region::Eu => "eu".to_owned(),
            },
        };
        let router = simulator::router(options, Clock::system())
            .merge(admin::router(Registry::new(), readiness));
        http_server::serve(listener, router, stop)
            .await
            .context("the server failed")?;
        Ok(())
    }
}
