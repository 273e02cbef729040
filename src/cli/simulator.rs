//! `cio simulator`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use clap::{Args, ValueEnum};
use prometheus::{IntCounter, IntGauge, Registry};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use crate::runtime::admin::{self, Readiness};
use crate::runtime::clock::Clock;
use crate::runtime::tls::files::CertificateFiles;
use crate::runtime::tls::server::ConnectionMetrics;
use crate::runtime::{http_server, shutdown, tls};
use crate::simulator::{self, Options, Rule, SimulatorError};

/// How long requests may take after the stop.
const GRACE: Duration = Duration::from_secs(3);

/// Run a Customer.io workspace look-alike for tests, demos and staging.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  cio simulator --listen 127.0.0.1:8080 --latency 50 \
    --fault '{\"status\": 503, \"share\": 0.01}' --fault '{\"fault\": \"reset_after\", \"times\": 3}'\n\
    Then: CUSTOMERIO_SITE_ID=any CUSTOMERIO_TRACK_API_KEY=any \
    CUSTOMERIO_TRACK_URL=http://127.0.0.1:8080 cio worker\n\
    and look at http://127.0.0.1:8080/"
)]
pub(super) struct Simulator {
    /// Where to listen.
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS:PORT")]
    listen: String,

    /// Credentials to accept; may be given several times. Without it any are accepted.
    #[arg(long, value_name = "SITE:KEY", value_parser = credentials)]
    credentials: Vec<(String, String)>,

    /// The App API key to accept. Without it any is accepted.
    #[arg(long, value_name = "KEY")]
    app_api_key: Option<String>,

    /// Requests in any span of one second for each site id; more get 429. Without it: no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    requests_per_second: Option<u32>,

    /// The Retry-After of those 429. Without it there is none: the real API documents none.
    #[arg(long, value_name = "SECONDS", requires = "requests_per_second")]
    retry_after: Option<u64>,

    /// Answer what is above the limit with 200 and do not store it, in place of a 429.
    #[arg(long, requires = "requests_per_second", conflicts_with = "retry_after")]
    drop_above_limit: bool,

    /// How long every answer takes, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(..=600_000))]
    latency: u64,

    /// A fault from the start, as `PUT /_sim/faults` takes a list of; may be given several times. It has
    /// a status, or in its place a fault: `reset_before`, `reset_after` (the connection breaks off before
    /// or after the request is taken), `hang` (never an answer), `drop` (200, and nothing is stored). It ends
    /// after `times` requests or `for_ms` milliseconds after the first one it spoils, whichever is first.
    #[arg(long, value_name = "JSON", value_parser = Rule::parse)]
    fault: Vec<Rule>,

    /// How many event ids are remembered to recognise duplicates.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    keep_events: usize,

    /// Serve https with this certificate (PEM, leaf first); some clients speak nothing else.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// Its private key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

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

/// A site id has one key: the second one would silently replace the first.
fn one_key_each(given: Vec<(String, String)>) -> Result<BTreeMap<String, String>, CommandError> {
    let mut known = BTreeMap::new();
    for (site, key) in given {
        if known.contains_key(&site) {
            let message = format!("--credentials names site {site:?} twice: give each site once");
            return Err(CommandError::Usage(message));
        }
        known.insert(site, key);
    }
    Ok(known)
}

/// What https needs: the certificate as it was at the start.
struct Tls {
    config: watch::Sender<Arc<ServerConfig>>,
    metrics: ConnectionMetrics,
}

impl Tls {
    async fn open(
        certificate: PathBuf,
        key: PathBuf,
        registry: &Registry,
    ) -> Result<Self, anyhow::Error> {
        let files = CertificateFiles { certificate, key };
        let (_, certificate) = files.open().await.context("--tls-cert, --tls-key")?;
        let config = tls::server_config(certificate, None).context("cannot serve TLS")?;
        let metrics = ConnectionMetrics {
            open: IntGauge::new("cio_simulator_connections", "TLS connections open.")?,
            failed_handshakes: IntCounter::new(
                "cio_simulator_failed_handshakes_total",
                "TLS handshakes that failed or took too long.",
            )?,
        };
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.failed_handshakes.clone()))?;
        Ok(Self {
            config: watch::Sender::new(config),
            metrics,
        })
    }

    async fn serve(self, listener: TcpListener, router: Router, stop: CancellationToken) {
        let config = self.config.subscribe();
        tls::server::serve(listener, config, router, self.metrics, stop).await;
    }
}

impl Simulator {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let address = self.listen.clone();
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        let registry = Registry::new();
        let router = simulator::router(self.options()?, Clock::system(), &registry);
        let router = router.map_err(|error| match error {
            SimulatorError::SetFaults(error) => CommandError::Usage(format!("--fault: {error}")),
            SimulatorError::RegisterMetrics(_) => anyhow::Error::from(error).into(),
        })?;
        let stop = shutdown::on_signals().context("failed to listen for signals")?;
        let tls = match files {
            Some((certificate, key)) => Some(Tls::open(certificate, key, &registry).await?),
            None => None,
        };
        let listener = http_server::bind(&address)
            .await
            .map_err(anyhow::Error::from)?;
        let address = listener
            .local_addr()
            .context("failed to read the address")?;
        tracing::info!(%address, "simulator started; it is not the real Customer.io");
        let readiness = Readiness::default();
        readiness.ready();
        let router = router.merge(admin::router(registry, readiness));
        let served = async {
            match tls {
                Some(tls) => tls.serve(listener, router, stop.clone()).await,
                None => http_server::serve(listener, router, stop.clone()).await?,
            }
            Ok::<(), anyhow::Error>(())
        };
        // A request that is never answered must not keep the program.
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = served => served.context("the server failed")?,
            () = patience => tracing::warn!("ended with requests unanswered"),
        }
        Ok(())
    }

    fn options(self) -> Result<Options, CommandError> {
        Ok(Options {
            credentials: one_key_each(self.credentials)?,
            app_api_key: self.app_api_key,
            requests_per_second: self.requests_per_second,
            retry_after_seconds: self.retry_after,
            drop_above_limit: self.drop_above_limit,
            latency: Duration::from_millis(self.latency),
            faults: self.fault,
            keep_events: self.keep_events,
            region: match self.region {
                Region::Us => "us".to_owned(),
                Region::Eu => "eu".to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_a_site_and_a_key_and_each_site_comes_once() {
        assert_eq!(credentials("s:k:1"), Ok(("s".to_owned(), "k:1".to_owned())));
        for text in ["s", "s:", ":k", ""] {
            assert!(credentials(text).is_err(), "{text}");
        }
        let pair = |key: &str| ("s".to_owned(), key.to_owned());
        assert!(one_key_each(vec![pair("a")]).is_ok());
        assert!(one_key_each(vec![pair("a"), pair("b")]).is_err());
    }
}
