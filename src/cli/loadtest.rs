//! `cio loadtest`.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use ulid::Ulid;

use super::CommandError;
use crate::delivery::client::{Endpoint, Region};
use crate::delivery::credentials::Credentials;
use crate::loadtest::journal::{self, Header};
use crate::loadtest::profile::{self, Profile, duration};
use crate::loadtest::run::{self, Outcome, Removal, Settings};
use crate::loadtest::schedule::Schedule;
use crate::loadtest::thresholds::{self, Threshold};
use crate::loadtest::{summary, workspace};
use crate::runtime::clock::Clock;
use crate::runtime::shutdown;

/// What a workspace takes, in requests a second.
const WORKSPACE_LIMIT: f64 = 100.0;

/// Load a staging workspace or a simulator as the guide does, and remove the test users again.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    CUSTOMERIO_SITE_ID=any CUSTOMERIO_TRACK_API_KEY=any CUSTOMERIO_TRACK_URL=http://127.0.0.1:8080 cio loadtest\n  \
    cio loadtest --staging SITE_ID --requests-per-second 80 --threshold 'cio_identify_latency: p(95)<500'\n  \
    cio loadtest cleanup --run ID\n\
    Exit codes: 0 passed, 1 failed or fell short, 2 usage or refused, 99 a threshold was crossed."
)]
pub(super) struct Loadtest {
    #[command(subcommand)]
    command: Option<Action>,

    #[command(flatten)]
    load: Load,

    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Remove the users of a run that was killed.
    #[command(after_help = "Example:\n  cio loadtest cleanup --run 01J8Z3M5T8Q9X2V4B6N7C1D0EF")]
    Cleanup {
        /// The run's id, as it was announced.
        #[arg(long, value_name = "ID", value_parser = run_id)]
        run: String,

        #[command(flatten)]
        target: Target,
    },
}

/// The load. Without any of it: 10 to 50 to 80 to 10 iterations a second, in two minutes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
struct Load {
    /// A YAML file: startRate, stages, preAllocatedUsers, maxUsers, thinkTime, thresholds.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stages", "rate"])]
    profile: Option<PathBuf>,

    /// Iterations a second to reach, and within what time, from the first one's target on.
    #[arg(long, value_name = "TARGET:DURATION,…", conflicts_with = "rate")]
    stages: Option<String>,

    /// A constant rate in iterations a second; each is two requests.
    #[arg(long, requires = "duration", value_name = "RATE")]
    rate: Option<f64>,

    /// How long the constant rate lasts, for example 30s.
    #[arg(long, requires = "rate", value_name = "DURATION")]
    duration: Option<String>,

    /// Scale the profile so that its peak is this.
    #[arg(long, value_name = "RATE")]
    requests_per_second: Option<f64>,

    /// Users that are there from the start.
    #[arg(long, value_name = "N")]
    pre_allocated_users: Option<usize>,

    /// Users there can be; an iteration that needs one more is dropped.
    #[arg(long, value_name = "N")]
    max_users: Option<usize>,

    /// 'METRIC: METHOD OP NUMBER', then abortOnFail and delayAbortEval=10s where wanted; several times.
    /// Replaces the guide's.
    #[arg(long, value_name = "THRESHOLD")]
    threshold: Vec<String>,
}

/// The workspace.
#[derive(Debug, Args)]
#[command(next_help_heading = "Workspace")]
struct Target {
    /// Site ids of staging workspaces, with commas between them; no other is loaded, but for loopback.
    #[arg(
        long,
        env = "CIO_STAGING_SITE_IDS",
        value_delimiter = ',',
        value_name = "SITE_ID"
    )]
    staging: Vec<String>,

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

    /// Where the workspace's data is kept: us or eu.
    #[arg(long, env = "CUSTOMERIO_REGION", default_value = "us")]
    region: Region,

    /// Replaces the region's host, for example by a simulator.
    #[arg(
        long,
        env = "CUSTOMERIO_TRACK_URL",
        default_value = "",
        hide_default_value = true,
        value_name = "URL"
    )]
    track_url: String,

    /// Deletes a second of the clean-up.
    #[arg(long, default_value_t = 80.0, value_name = "RATE", value_parser = delete_rate)]
    cleanup_rate: f64,

    /// Where runs are noted: `cio/runs` below it [default: ~/.local/state].
    #[arg(long, env = "XDG_STATE_HOME", value_name = "FOLDER")]
    state_home: Option<PathBuf>,

    /// The home folder.
    #[arg(long, env = "HOME", hide = true)]
    home: Option<PathBuf>,
}

impl Loadtest {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        match self.command {
            Some(Action::Cleanup { run, target }) => {
                let credentials = target.checked()?;
                let journal = target.journal(&run)?;
                let (header, _) = journal::read(&journal).map_err(usage)?;
                if header.site_id != credentials.site_id() || header.url != target.url() {
                    let (site_id, url) = (header.site_id, header.url);
                    let message =
                        format!("--run: it was in workspace {site_id} at {url}: set those");
                    return Err(CommandError::Usage(message));
                }
                target.clean_up(&journal, &credentials).await
            }
            None => test(self.load, self.target).await,
        }
    }
}

async fn test(load: Load, target: Target) -> Result<(), CommandError> {
    let credentials = target.checked()?;
    let (profile, thresholds) = load.read()?;
    let run = Ulid::from_parts(Clock::system().now_ms(), rand::random()).to_string();
    let journal = target.journal(&run)?;
    announce(&profile, &target, &credentials, &run);
    let (planned, peak, max_users) = (
        Schedule::new(&profile).total(),
        profile.peak(),
        profile.max_users,
    );
    let settings = Settings {
        profile,
        thresholds,
        header: Header {
            run,
            site_id: credentials.site_id().to_owned(),
            url: target.url().to_owned(),
        },
        endpoint: target.endpoint()?,
        credentials: credentials.clone(),
        journal: journal.clone(),
    };
    let stop = shutdown::on_signals().context("install signal handlers")?;
    let outcome = run::run(settings, &stop, |line| eprintln!("{line}")).await;
    // Whatever came of the run, what it created is removed.
    let removed = target.clean_up(&journal, &credentials).await;
    let outcome = outcome.map_err(anyhow::Error::from)?;
    print!(
        "{}",
        summary::text(&outcome.numbers, &outcome.judged, outcome.elapsed)
    );
    if let Some(advice) = summary::advice(&outcome.numbers, peak, max_users) {
        eprintln!("{advice}");
    }
    verdict(&outcome, planned)?;
    removed
}

fn verdict(outcome: &Outcome, planned: u64) -> Result<(), CommandError> {
    let crossed = outcome.judged.iter().filter(|it| !it.held);
    let crossed: Vec<String> = crossed
        .map(|it| format!("{} '{}'", it.threshold.metric, it.threshold.expression))
        .collect();
    if !crossed.is_empty() {
        return Err(CommandError::Crossed(crossed.join(", ")));
    }
    match summary::shortfall(&outcome.numbers, planned) {
        Some(reason) => Err(anyhow!(reason).into()),
        None => Ok(()),
    }
}

fn announce(profile: &Profile, target: &Target, credentials: &Credentials, run: &str) {
    let planned = Schedule::new(profile).total();
    let peak = profile.peak_requests();
    eprintln!(
        "run {run}: workspace {} at {}, region {}\n{planned} iterations, {} requests in {}, peak {peak} requests/s, \
         {planned} test users, at most {} at once",
        credentials.site_id(),
        target.url(),
        target.region.as_str(),
        planned * 2,
        duration::show(profile.duration()),
        profile.max_users
    );
    if peak > WORKSPACE_LIMIT {
        eprintln!(
            "note: the peak is above the {WORKSPACE_LIMIT} requests/s that a workspace takes; \
             --requests-per-second 80 scales the profile"
        );
    }
}

impl Load {
    fn read(self) -> Result<(Profile, Vec<Threshold>), CommandError> {
        let (mut profile, mut lines) = (Profile::default(), self.threshold);
        if let Some(path) = self.profile {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                CommandError::Usage(format!(
                    "--profile: cannot read {}: {error}",
                    path.display()
                ))
            })?;
            let file = profile::read(&text).map_err(usage)?;
            profile = file.profile;
            if lines.is_empty() {
                lines = file.thresholds;
            }
        } else if let Some(text) = self.stages {
            profile.stages = profile::stages(&text).map_err(usage)?;
            profile.start_rate = profile.stages.first().map_or(0.0, |first| first.target);
        } else if let Some((rate, text)) = self.rate.zip(self.duration) {
            profile = profile.constant(rate, duration::parse(&text).map_err(usage)?);
        }
        profile.max_users = self.max_users.unwrap_or(profile.max_users);
        let users = self.pre_allocated_users;
        profile.pre_allocated_users =
            users.unwrap_or(profile.pre_allocated_users.min(profile.max_users));
        if let Some(rate) = self.requests_per_second {
            profile = profile.scaled_to(rate);
        }
        profile.check().map_err(usage)?;
        if lines.is_empty() {
            lines = thresholds::DEFAULTS.map(str::to_owned).to_vec();
        }
        let thresholds: Result<Vec<_>, _> = lines.iter().map(|it| thresholds::parse(it)).collect();
        Ok((profile, thresholds.map_err(usage)?))
    }
}

impl Target {
    /// The credentials, of a workspace that may be loaded.
    fn checked(&self) -> Result<Credentials, CommandError> {
        let credentials = Credentials::new(self.site_id.as_deref(), self.track_api_key.as_deref());
        let credentials = credentials.map_err(usage)?;
        self.endpoint()?;
        workspace::check(self.url(), credentials.site_id(), &self.staging).map_err(usage)?;
        Ok(credentials)
    }

    fn url(&self) -> &str {
        match (self.track_url.as_str(), self.region) {
            ("", Region::Us) => "https://track.customer.io",
            ("", Region::Eu) => "https://track-eu.customer.io",
            (url, _) => url,
        }
    }

    fn endpoint(&self) -> Result<Endpoint, CommandError> {
        let endpoint = self.url().parse();
        endpoint.map_err(|error| CommandError::Usage(format!("CUSTOMERIO_TRACK_URL: {error}")))
    }

    fn journal(&self, run: &str) -> Result<PathBuf, CommandError> {
        let set = |path: &&PathBuf| !path.as_os_str().is_empty();
        if let Some(state) = self.state_home.as_ref().filter(set) {
            return Ok(journal::path(state, run));
        }
        match self.home.as_ref().filter(set) {
            Some(home) => Ok(journal::path(&home.join(".local/state"), run)),
            None => Err(CommandError::Usage(
                "XDG_STATE_HOME: set it to a folder for the journal of the run".to_owned(),
            )),
        }
    }

    async fn clean_up(&self, path: &Path, credentials: &Credentials) -> Result<(), CommandError> {
        let (endpoint, credentials) = (self.endpoint()?, credentials.clone());
        let say = |line: String| eprintln!("{line}");
        let removal = run::remove_users(path, endpoint, credentials, self.cleanup_rate, say);
        let Removal {
            created,
            failed,
            left,
        } = removal.await.map_err(anyhow::Error::from)?;
        let verified = match left {
            None => "accepted, not verified".to_owned(),
            Some(left) => format!("verified with the simulator: {left} left"),
        };
        eprintln!(
            "clean-up: {} of {created} users deleted; {verified}",
            created - failed
        );
        if failed == 0 && left.unwrap_or(0) == 0 {
            return Ok(());
        }
        Err(anyhow!(
            "users are left: run cio loadtest cleanup; the journal is {}",
            path.display()
        )
        .into())
    }
}

fn usage(error: impl std::fmt::Display) -> CommandError {
    CommandError::Usage(error.to_string())
}

fn run_id(text: &str) -> Result<String, String> {
    let ulid: Result<Ulid, _> = text.parse();
    ulid.map(|it| it.to_string())
        .map_err(|_| "write the id that the run announced".to_owned())
}

fn delete_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|it| (0.1..=10_000.0).contains(it));
    rate.ok_or_else(|| "write requests a second from 0.1 to 10000".to_owned())
}
