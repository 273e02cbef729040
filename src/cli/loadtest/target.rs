//! The workspace that is loaded, and where the run is noted.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::usage;
use super::verify::Verify;
use crate::cli::CommandError;
use crate::cli::given::Given;
use crate::cli::settings::WorkspaceSettings;
use crate::delivery::client::{Endpoint, Region};
use crate::delivery::credentials::Credentials;
use crate::loadtest::journal::{self, Header, Listed};
use crate::loadtest::run::{self, Removal, Verification};
use crate::loadtest::workspace;

/// The workspace.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    given: Given,

    #[command(flatten)]
    workspace: WorkspaceSettings,

    /// Site ids of staging workspaces, with commas between them; no other is loaded, but for loopback.
    #[arg(
        long,
        env = "CIO_STAGING_SITE_IDS",
        value_delimiter = ',',
        value_name = "SITE_ID"
    )]
    staging: Vec<String>,

    /// Deletes a second of the clean-up.
    #[arg(long, default_value_t = 80.0, value_name = "RATE", value_parser = delete_rate)]
    cleanup_rate: f64,

    #[command(flatten)]
    verify: Verify,

    /// Where runs are noted: `cio/runs` below it [default: ~/.local/state].
    #[arg(long, env = "XDG_STATE_HOME", value_name = "FOLDER")]
    state_home: Option<PathBuf>,

    /// The home folder.
    #[arg(long, env = "HOME", hide = true)]
    home: Option<PathBuf>,
}

/// A workspace that may be loaded.
#[derive(Debug)]
pub(super) struct Workspace {
    /// Where it answers.
    pub(super) endpoint: Endpoint,
    /// Where its data is kept.
    pub(super) region: Region,
    /// As whom.
    pub(super) credentials: Credentials,
    /// How the removal of its test users is verified, where it is through the App API.
    verification: Option<Verification>,
}

impl Target {
    /// The workspace, where it may be loaded.
    pub(super) async fn checked(&self) -> Result<Workspace, CommandError> {
        let (endpoint, region) = (self.workspace.endpoint()?, self.workspace.region);
        let workspace = Workspace {
            verification: self.verify.read(&endpoint, region)?,
            endpoint,
            region,
            credentials: self.workspace.credentials()?.read().await.map_err(usage)?,
        };
        let (url, site_id) = (workspace.endpoint.as_str(), workspace.credentials.site_id());
        workspace::check(url, site_id, &self.staging).map_err(usage)?;
        Ok(workspace)
    }

    /// The file of a run.
    pub(super) fn journal(&self, run: &str) -> Result<PathBuf, CommandError> {
        Ok(journal::path(&self.state()?, run))
    }

    /// What a clean-up says that was told no run: which ones there are, and no user of theirs.
    pub(super) fn no_run(&self) -> CommandError {
        let listed = self.state().map(|state| {
            let folder = journal::folder(&state);
            let runs = journal::list(&folder);
            let lines = runs.iter().map(|it| self.listed(it));
            let lines: Vec<String> = lines.collect();
            (folder, lines.concat())
        });
        match listed {
            Ok((folder, lines)) if lines.is_empty() => CommandError::Usage(format!(
                "--run: no run has left a journal in {}",
                folder.display()
            )),
            Ok((_, lines)) => CommandError::Usage(format!(
                "--run: say which run; these have a journal, as one has that is under way:{lines}"
            )),
            Err(error) => error,
        }
    }

    fn listed(&self, it: &Listed) -> String {
        let (run, began) = (it.run.to_string(), it.began);
        match &it.found {
            Ok((Header { site_id, url, .. }, users)) => {
                let many = if *users == 1 { "" } else { "s" };
                let command = self.clean_up_command(&run);
                format!(
                    "\n  {began}, workspace {site_id} at {url}, at most {users} user{many} left: {command}"
                )
            }
            Err(error) => format!("\n  {began}, run {run}: {error}"),
        }
    }

    fn state(&self) -> Result<PathBuf, CommandError> {
        let set = |path: &&PathBuf| !path.as_os_str().is_empty();
        if let Some(state) = self.state_home.as_ref().filter(set) {
            return Ok(state.clone());
        }
        match self.home.as_ref().filter(set) {
            Some(home) => Ok(home.join(".local/state")),
            None => Err(CommandError::Usage(
                "XDG_STATE_HOME: set it to a folder for the journal of the run".to_owned(),
            )),
        }
    }

    /// Removes the users of a run, and says what became of them; `keep` leaves the journal.
    pub(super) async fn remove_users(
        &self,
        run: &str,
        workspace: &Workspace,
        keep: bool,
    ) -> Result<Removal, CommandError> {
        let path = self.journal(run)?;
        let (endpoint, credentials) = (workspace.endpoint.clone(), workspace.credentials.clone());
        let say = |line: String| eprintln!("{line}");
        let (rate, verification) = (self.cleanup_rate, workspace.verification.as_ref());
        let removal =
            run::remove_users(&path, endpoint, credentials, rate, verification, keep, say);
        let removal = removal
            .await
            .map_err(|error| anyhow!("{error}; {}", self.go_on(run)))?;
        eprintln!("{}", said(removal, verification));
        Ok(removal)
    }

    /// A failure where users of the run are left.
    pub(super) fn complete(&self, removal: Removal, run: &str) -> Result<(), CommandError> {
        if removal.failed == 0 && removal.left.unwrap_or(0) == 0 {
            return Ok(());
        }
        Err(anyhow!("test users are left; {}", self.go_on(run)).into())
    }

    /// How users that are left are removed.
    pub(super) fn go_on(&self, run: &str) -> String {
        format!("to remove them: {}", self.clean_up_command(run))
    }

    fn clean_up_command(&self, run: &str) -> String {
        let instead = [("run", Some(run))];
        self.given.command(&["loadtest", "cleanup"], &instead)
    }
}

fn said(removal: Removal, verification: Option<&Verification>) -> String {
    let Removal {
        created,
        failed,
        gave_up,
        left,
    } = removal;
    let verified = match (left, verification) {
        (None, _) if gave_up => "gave up, for many in a row failed".to_owned(),
        (None, _) => "accepted, not verified".to_owned(),
        (Some(left), Some(it)) => format!(
            "verified through the App API, {} of them: {left} left",
            it.sample.min(created)
        ),
        (Some(left), None) => format!("verified with the simulator: {left} left"),
    };
    let deleted = created - failed;
    format!("clean-up: {deleted} of {created} users deleted; {verified}")
}

fn delete_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|it| (0.1..=10_000.0).contains(it));
    rate.ok_or_else(|| "write requests a second from 0.1 to 10000".to_owned())
}
