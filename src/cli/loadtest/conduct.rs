//! How the run is conducted: what comes before it, and what is seen meanwhile.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::target::Workspace;
use super::usage;
use crate::cli::CommandError;
use crate::delivery::client::TrackClient;
use crate::loadtest::preflight::{self, Place, PreflightError};
use crate::loadtest::profile::duration;
use crate::loadtest::recorder::Recorder;
use crate::loadtest::run::{self, Outcome, Settings, Tick};
use crate::loadtest::schedule::Schedule;

/// How the run goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conduct")]
pub(super) struct Conduct {
    /// Begin at once, without sending a tenth of the load first.
    #[arg(long)]
    no_preflight: bool,

    /// How long a tenth of the peak rate is sent before the test, which begins only if that is clean.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = length,
        conflicts_with = "no_preflight"
    )]
    preflight_duration: Duration,

    /// Lower the rate while there are 429s, and report the rate that held; not through the queue.
    #[arg(long)]
    adapt: bool,
}

impl Conduct {
    /// Whether the rate may fall.
    pub(super) fn adapts(&self) -> bool {
        self.adapt
    }

    /// Where the workspace is. One that does not say so is loaded only where nobody wants a pre-flight: it may be no
    /// Customer.io.
    pub(super) async fn place(&self, workspace: &Workspace) -> Result<Option<Place>, CommandError> {
        let client = TrackClient::fixed(&workspace.endpoint, workspace.credentials.clone(), 1)
            .context("make an HTTP client")?;
        match preflight::place(&client, workspace.region).await {
            Ok(place) => Ok(Some(place)),
            Err(error @ PreflightError::AskRegion { .. }) if self.no_preflight => {
                eprintln!("note: {error}");
                Ok(None)
            }
            Err(error) => Err(command_error(error)),
        }
    }

    /// The pre-flight, then the test, each of whose seconds `watch` sees too.
    pub(super) async fn run(
        &self,
        mut settings: Settings,
        stop: &CancellationToken,
        mut watch: impl FnMut(&Tick<'_>),
    ) -> Result<Outcome, CommandError> {
        settings.adapt = self.adapt;
        if !self.no_preflight {
            self.preflight(&settings, stop).await?;
        }
        let mut progress = Progress::new("test", &settings, stop);
        let outcome = run::run(settings, stop, |tick| {
            watch(&tick);
            progress.show(&tick);
        });
        let outcome = outcome.await;
        Ok(outcome.map_err(anyhow::Error::from)?)
    }

    async fn preflight(
        &self,
        settings: &Settings,
        stop: &CancellationToken,
    ) -> Result<(), CommandError> {
        let profile = preflight::load(&settings.profile, self.preflight_duration);
        let planned = Schedule::new(&profile).total();
        eprintln!(
            "pre-flight: {planned} iterations in {}, a tenth of the peak rate",
            duration::show(self.preflight_duration)
        );
        let through_queue = settings.queue.is_some();
        let settings = Settings {
            users_after: settings.profile.max_users,
            profile,
            thresholds: Vec::new(),
            adapt: false,
            ..settings.clone()
        };
        let soiled = stop.child_token();
        let mut progress = Progress::new("pre-flight", &settings, stop);
        let outcome = run::run(settings, &soiled, |tick| {
            progress.show(&tick);
            if !preflight::is_clean(tick.numbers) {
                soiled.cancel();
            }
        });
        let outcome = outcome.await.map_err(anyhow::Error::from)?;
        drop(progress);
        if stop.is_cancelled() {
            return Err(command_error(PreflightError::Stopped));
        }
        if let Some(error) = outcome.unfinished {
            return Err(CommandError::Failed(error.into()));
        }
        preflight::judge(&outcome.numbers, planned, through_queue).map_err(command_error)?;
        eprintln!(
            "pre-flight: clean, {}; the test begins",
            seen(&outcome.numbers, through_queue)
        );
        Ok(())
    }
}

fn seen(it: &Recorder, through_queue: bool) -> String {
    if through_queue {
        return format!(
            "{} jobs, p95 {:.1} ms to enqueue, {:.1} ms to acceptance",
            it.requests,
            it.enqueue.percentile(95.0),
            it.lag.percentile(95.0)
        );
    }
    format!(
        "{} requests, p95 {:.1} ms",
        it.requests,
        it.all.percentile(95.0)
    )
}

/// A wrong region is a wrong setting; the rest is what came of trying.
fn command_error(error: PreflightError) -> CommandError {
    match error {
        PreflightError::OtherRegion { .. } => usage(error),
        _ => CommandError::Failed(error.into()),
    }
}

fn length(text: &str) -> Result<Duration, String> {
    let length = duration::parse(text).map_err(|error| error.to_string())?;
    let bounds = Duration::from_millis(100)..=Duration::from_mins(10);
    if bounds.contains(&length) {
        return Ok(length);
    }
    Err("write 100ms to 10m".to_owned())
}
