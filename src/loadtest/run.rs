//! A run from its first packet to its last delete.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::adapt::Adapt;
use super::app_api::{self, AppApi, AppApiError};
use super::cleanup;
use super::engine::{Engine, Sender, Shared};
use super::journal::{self, Header, Journal, JournalError};
use super::profile::Profile;
use super::queued::{Enqueuer, PATIENCE, QueueTarget};
use super::recorder::Recorder;
use super::schedule::Schedule;
use super::thresholds::{self, Judged, Threshold};
use crate::delivery::client::{Endpoint, TrackClient};
use crate::delivery::credentials::Credentials;
use crate::queue::QueueError;
use crate::runtime::clock::Clock;

/// Connections of the clean-up.
const CONNECTIONS: usize = 15;

/// What a run needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The load.
    pub profile: Profile,
    /// What it is judged by.
    pub thresholds: Vec<Threshold>,
    /// Where it goes.
    pub header: Header,
    /// Likewise, for the client.
    pub endpoint: Endpoint,
    /// As whom.
    pub credentials: Credentials,
    /// The queue to go through, in place of requests of its own.
    pub queue: Option<QueueTarget>,
    /// The journal's file.
    pub journal: PathBuf,
    /// The users are numbered after this: those of the pre-flight are others.
    pub users_after: usize,
    /// Whether the rate falls while there are 429s.
    pub adapt: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The numbers.
    pub numbers: Recorder,
    /// The thresholds with their values.
    pub judged: Vec<Judged>,
    /// How long it took.
    pub elapsed: Duration,
    /// The iterations that were to be: fewer where the rate fell.
    pub planned: u64,
    /// What came of the search for the rate that holds, where there was one.
    pub adapt: Option<Adapt>,
    /// Whether it was asked to end before its end.
    pub interrupted: bool,
    /// Why not all of what was begun came to its end.
    pub unfinished: Option<RunError>,
}

/// A run as it is in one of its seconds.
#[derive(Debug, Clone, Copy)]
pub struct Tick<'a> {
    /// Which, from 1.
    pub second: u64,
    /// Since the start.
    pub elapsed: Duration,
    /// How long the profile lasts.
    pub length: Duration,
    /// The numbers so far.
    pub numbers: &'a Recorder,
    /// Iterations a second that the schedule asks now.
    pub offered: f64,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal cannot be kept: nothing is created that could not be removed.
    #[error(transparent)]
    KeepJournal(#[from] JournalError),
    /// The client or the thread could not be made.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// The queue does not answer.
    #[error(transparent)]
    FollowQueue(#[from] QueueError),
    /// No job ended for long.
    #[error(
        "no job of queue {0} completed within {PATIENCE:?}: start cio worker on this queue, or look at it with \
         cio queue stats; the jobs that waited are taken out again"
    )]
    NoWorker(String),
    /// Jobs are in the hands of workers that do not end them.
    #[error("{0} jobs are still in the hands of a worker")]
    JobsLeft(usize),
    /// The App API does not say who is left.
    #[error(transparent)]
    Verify(#[from] AppApiError),
    /// The sending thread ended without a word.
    #[error("the sending thread ended early")]
    JoinEngine,
}

/// What became of the users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Users that were created.
    pub created: usize,
    /// Deletes that were not accepted.
    pub failed: usize,
    /// Whether some of those were not tried: none of many before them was accepted.
    pub gave_up: bool,
    /// Users that the App API (of those asked for) or a simulator still has; nothing where there is
    /// none to ask.
    pub left: Option<usize>,
}

/// How the removal is verified through the App API.
#[derive(Debug)]
pub struct Verification {
    /// The App API.
    pub api: AppApi,
    /// So many users are asked for.
    pub sample: usize,
}

/// Runs the profile; `watch` is called every second.
pub async fn run(
    settings: Settings,
    stop: &CancellationToken,
    mut watch: impl FnMut(Tick<'_>),
) -> Result<Outcome, RunError> {
    let (length, shared) = (settings.profile.duration(), Arc::new(Shared::default()));
    let schedule = Schedule::new(&settings.profile);
    let mut adapt = settings.adapt.then(Adapt::default);
    let mut thresholds = thresholds::Watch::new(settings.thresholds.clone());
    // A threshold that aborts is no interruption.
    let abort = stop.child_token();
    let mut ended = spawn(settings, &shared, abort.clone())?;
    let mut unfinished = None;
    let (start, mut tick) = (Instant::now(), interval(Duration::from_secs(1)));
    tick.tick().await;
    for second in 1.. {
        tokio::select! {
            end = &mut ended => {
                unfinished = end.map_err(|_| RunError::JoinEngine)?.err();
                break;
            }
            _ = tick.tick() => {}
        }
        let (numbers, elapsed) = (shared.numbers(), start.elapsed());
        // After the end there is no rate that could hold.
        if let Some(adapt) = adapt.as_mut().filter(|_| elapsed <= length)
            && let Some(factor) = adapt.look(&numbers)
        {
            shared.set_pace(shared.pace().changed(&schedule, elapsed, factor));
        }
        watch(Tick {
            offered: shared.pace().rate(&schedule, elapsed),
            second,
            elapsed,
            length,
            numbers: &numbers,
        });
        if thresholds.aborts(&numbers, elapsed) {
            abort.cancel();
        }
    }
    let (numbers, elapsed) = (shared.numbers(), start.elapsed());
    // Where nothing was begun there is nothing to show.
    if let Some(error) = unfinished.take_if(|_| numbers.started == 0) {
        return Err(error);
    }
    Ok(Outcome {
        judged: thresholds.at_end(&numbers, elapsed),
        numbers,
        elapsed,
        planned: shared.pace().total(&schedule),
        adapt,
        interrupted: stop.is_cancelled(),
        unfinished,
    })
}

/// The engine on a thread of its own with a runtime of one thread: nothing else delays it, and no
/// wake-up crosses threads.
fn spawn(
    settings: Settings,
    shared: &Arc<Shared>,
    stop: CancellationToken,
) -> Result<oneshot::Receiver<Result<(), RunError>>, RunError> {
    let connections = settings.profile.max_users;
    let (endpoint, credentials) = (&settings.endpoint, settings.credentials);
    let sender = match settings.queue {
        Some(queue) => Sender::Queue(Enqueuer::new(queue, Arc::clone(shared))),
        None => Sender::Api(TrackClient::fixed(endpoint, credentials, connections)?),
    };
    let engine = Engine {
        sender,
        run: settings.header.run.as_str().into(),
        journal: Journal::begin(settings.journal, &settings.header)?,
        users_after: settings.users_after,
        profile: settings.profile,
        clock: Clock::system(),
        shared: Arc::clone(shared),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("loadtest".to_owned())
        .spawn(move || {
            // A receiver that is gone has ended with the process.
            sender.send(runtime.block_on(engine.run(stop))).ok();
        })?;
    Ok(receiver)
}

/// Removes the users that a journal names, and the journal when none is left, unless it is to be kept:
/// jobs may create users again.
pub async fn remove_users(
    path: &std::path::Path,
    endpoint: Endpoint,
    credentials: Credentials,
    per_second: f64,
    verification: Option<&Verification>,
    keep: bool,
    mut say: impl FnMut(String),
) -> Result<Removal, RunError> {
    // Read anew each time: a long run's users are more than memory should hold.
    let users = || journal::read(path).map(|(_, users)| users);
    let created = journal::count(path)?;
    let client = TrackClient::fixed(&endpoint, credentials, CONNECTIONS)?;
    let mut next = 500;
    let deletes = cleanup::delete(&client, users()?, created, per_second, |through| {
        if through >= next {
            say(format!("clean-up: {through} of {created} users"));
            next = through + 500;
        }
    })
    .await?;
    let left = match verification {
        // It is known that users are left, and nobody answers.
        _ if deletes.gave_up => None,
        Some(Verification { api, sample }) => {
            let sample = app_api::sample(users()?, created, *sample);
            Some(api.left(sample).await?)
        }
        None => cleanup::left_in_simulator(&client, users()?).await?,
    };
    if !keep && deletes.failed == 0 && left.unwrap_or(0) == 0 {
        journal::remove(path)?;
    }
    Ok(Removal {
        created,
        failed: deletes.failed,
        gave_up: deletes.gave_up,
        left,
    })
}
