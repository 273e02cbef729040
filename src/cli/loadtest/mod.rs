//! `cio loadtest`.

mod conduct;
mod live;
mod load;
mod outputs;
mod progress;
mod target;
mod through;
mod verify;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use ulid::Ulid;

use self::conduct::Conduct;
use self::load::Load;
use self::outputs::Outputs;
use self::target::{Target, Workspace};
use self::through::Through;
use super::CommandError;
use crate::loadtest::journal::{self, Header};
use crate::loadtest::preflight::Place;
use crate::loadtest::profile::{Profile, duration};
use crate::loadtest::queued::Doubt;
use crate::loadtest::report::{self, Facts};
use crate::loadtest::run::{Outcome, Settings};
use crate::loadtest::schedule::Schedule;
use crate::loadtest::series::Series;
use crate::loadtest::summary;
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
    cio loadtest --html report.html --json report.json --baseline before.json\n  \
    cio loadtest cleanup --run ID\n\
    Exit codes: 0 passed, 1 failed or fell short, 2 usage or refused, 99 a threshold was crossed or a number is worse than the baseline."
)]
pub(super) struct Loadtest {
    #[command(subcommand)]
    command: Option<Action>,

    #[command(flatten)]
    load: Load,

    #[command(flatten)]
    outputs: Outputs,

    #[command(flatten)]
    conduct: Conduct,

    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    through: Through,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Remove the users of a run that was killed.
    #[command(after_help = "Example:\n  cio loadtest cleanup --run 01J8Z3M5T8Q9X2V4B6N7C1D0EF")]
    Cleanup {
        /// The run's id, as it was announced; without it those that left a journal are listed.
        #[arg(long, value_name = "ID", value_parser = run_id)]
        run: Option<String>,

        #[command(flatten)]
        target: Target,
    },
}

impl Loadtest {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        match self.command {
            Some(Action::Cleanup { run, target }) => {
                let Some(run) = run else {
                    return Err(target.no_run());
                };
                let workspace = target.checked().await?;
                let journal = target.journal(&run)?;
                let (header, _) = journal::read(&journal).map_err(usage)?;
                let here = (workspace.credentials.site_id(), workspace.endpoint.as_str());
                if (header.site_id.as_str(), header.url.as_str()) != here {
                    let (site_id, url) = (header.site_id, header.url);
                    let message =
                        format!("--run: it was in workspace {site_id} at {url}: set those");
                    return Err(CommandError::Usage(message));
                }
                let removal = target.remove_users(&run, &workspace, false).await?;
                target.complete(removal, &run)
            }
            None => {
                test(
                    self.load,
                    self.conduct,
                    self.outputs,
                    self.target,
                    self.through,
                )
                .await
            }
        }
    }
}

async fn test(
    load: Load,
    conduct: Conduct,
    outputs: Outputs,
    target: Target,
    through: Through,
) -> Result<(), CommandError> {
    let way = through.way();
    let workspace = target.checked().await?;
    let (profile, thresholds) = load.read(way.thresholds())?;
    let queue = through.read(&thresholds, conduct.adapts()).await?;
    let doubt = queue
        .as_ref()
        .map_or_else(Doubt::default, |it| it.doubt.clone());
    let outputs = outputs.ready(&profile, way)?;
    let clock = Clock::system();
    let (started_at, run) = (
        clock.now(),
        Ulid::from_parts(clock.now_ms(), rand::random()).to_string(),
    );
    let journal = target.journal(&run)?;
    let place = conduct.place(&workspace).await?;
    announce(&profile, &workspace, place.as_ref(), &run);
    let mut series = Series::new(Schedule::new(&profile));
    let header = Header {
        run,
        site_id: workspace.credentials.site_id().to_owned(),
        url: workspace.endpoint.as_str().to_owned(),
    };
    let settings = Settings {
        profile: profile.clone(),
        thresholds,
        header: header.clone(),
        endpoint: workspace.endpoint.clone(),
        credentials: workspace.credentials.clone(),
        queue,
        journal: journal.clone(),
        users_after: 0,
        adapt: false,
    };
    let stop = shutdown::on_signals().context("install signal handlers")?;
    let outcome = conduct
        .run(settings, &stop, |tick| {
            series.look(tick.elapsed, tick.numbers);
        })
        .await;
    // Without a journal nothing was created.
    let outcome = match outcome {
        Err(error) if !journal.exists() => return Err(usage(error)),
        other => other,
    };
    let doubtful = doubt.jobs();
    // The result is told before the clean-up, which takes minutes and may be ended.
    let told = outcome.map(|outcome| {
        series.end(outcome.elapsed, &outcome.numbers);
        let mut report = report::build(Facts {
            header: &header,
            region: workspace.region.as_str(),
            way,
            profile: &profile,
            started_at,
            outcome: &outcome,
            series: &series,
        });
        let printed = print(&outputs, &outcome, &profile);
        let kept = outputs.keep(&mut report);
        let told = [finished(&outcome), verdict(&outcome), kept, printed];
        (report, told)
    });
    // Whatever came of the run, what it created is removed.
    let removal = Box::pin(target.remove_users(&header.run, &workspace, doubtful > 0));
    // Who asks it to end may not wait for the clean-up.
    let (removed, printed) = beside(removal, stop.cancelled(), || {
        let (report, _) = told.as_ref().ok()?;
        Some(outputs.document(report))
    })
    .await;
    let removal = removed.as_ref().ok().copied();
    let clean = removed.and_then(|it| target.complete(it, &header.run));
    let certain = certain(doubtful, &target.go_on(&header.run));
    match told {
        Ok((mut report, told)) => {
            report.clean_up = removal.map(|it| report::clean_up(it, doubtful));
            let completed = outputs.complete(&report);
            let printed = printed.unwrap_or_else(|| outputs.document(&report));
            first(told.into_iter().chain([completed, printed, clean, certain]))
        }
        Err(error) => first([Err(error), clean, certain]),
    }
}

/// Waits for `work`, and does `meanwhile` once `asked` is over before it; what came of both.
async fn beside<T, M>(
    mut work: impl Future<Output = T> + Unpin,
    asked: impl Future<Output = ()>,
    meanwhile: impl FnOnce() -> Option<M>,
) -> (T, Option<M>) {
    tokio::select! {
        biased;
        done = &mut work => (done, None),
        () = asked => {
            let done_meanwhile = meanwhile();
            (work.await, done_meanwhile)
        }
    }
}

/// The first error, which decides the exit code; the others are told here.
fn first(results: impl IntoIterator<Item = Result<(), CommandError>>) -> Result<(), CommandError> {
    let mut errors = results.into_iter().filter_map(Result::err);
    let first = errors.next();
    for other in errors {
        eprintln!("error: {other}");
    }
    first.map_or(Ok(()), Err)
}

/// A failure, with what to do, where jobs may create users after the clean-up.
fn certain(doubtful: usize, go_on: &str) -> Result<(), CommandError> {
    if doubtful == 0 {
        return Ok(());
    }
    Err(anyhow!(
        "the clean-up is not certain: {doubtful} jobs may still create their users: a worker has them, or Redis did \
         not say whether it took them. The journal is kept: when cio queue stats shows none of them any more, {go_on}"
    )
    .into())
}

fn print(
    outputs: &outputs::Ready,
    outcome: &Outcome,
    profile: &Profile,
) -> Result<(), CommandError> {
    let mut text = summary::text(&outcome.numbers, &outcome.judged, outcome.elapsed);
    let adapt = outcome.adapt.iter();
    text.extend(adapt.map(|it| format!("\n  █ ADAPT\n\n    {it}\n")));
    let printed = outputs.print(&text);
    if let Some(advice) = summary::advice(&outcome.numbers, profile.peak(), profile.max_users) {
        eprintln!("{advice}");
    }
    printed
}

fn finished(outcome: &Outcome) -> Result<(), CommandError> {
    match &outcome.unfinished {
        Some(error) => Err(anyhow!("{error}").into()),
        None => Ok(()),
    }
}

fn verdict(outcome: &Outcome) -> Result<(), CommandError> {
    let crossed = outcome.judged.iter().filter(|it| !it.held);
    let crossed: Vec<String> = crossed
        .map(|it| format!("{} '{}'", it.threshold.metric, it.threshold.expression))
        .collect();
    if !crossed.is_empty() {
        return Err(CommandError::Crossed(crossed.join(", ")));
    }
    match summary::shortfall(outcome) {
        Some(reason) => Err(anyhow!(reason).into()),
        None => Ok(()),
    }
}

fn announce(profile: &Profile, workspace: &Workspace, place: Option<&Place>, run: &str) {
    let planned = Schedule::new(profile).total();
    let peak = profile.peak_requests();
    eprintln!(
        "run {run}: workspace {} at {}, {}\n{planned} iterations, {} requests in {}, peak {peak} requests/s, \
         {planned} test users, at most {} at once",
        workspace.credentials.site_id(),
        workspace.endpoint.as_str(),
        place.map_or_else(
            || format!(
                "region {} (as set; the workspace did not say)",
                workspace.region.as_str()
            ),
            ToString::to_string
        ),
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

fn usage(error: impl std::fmt::Display) -> CommandError {
    CommandError::Usage(error.to_string())
}

fn run_id(text: &str) -> Result<String, String> {
    let ulid: Result<Ulid, _> = text.parse();
    ulid.map(|it| it.to_string())
        .map_err(|_| "write the id that the run announced".to_owned())
}
