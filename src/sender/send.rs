//! Delivering a file: from its first line, or from where a run before was ended.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::failed::FailedFile;
use super::feed::{Fed, Feed};
use super::flight::{Flight, Landed};
use super::input::{self, InputFile};
use super::state::{State, fingerprint};
use super::{Progress, SendError};
use crate::delivery::Mode;
use crate::delivery::circuit::{Breaker, Circumstance};
use crate::delivery::client::{Endpoint, Region, TrackClient};
use crate::delivery::credentials::{Credentials, CredentialsSource};
use crate::delivery::encode::{JobRef, Prepared, prepare};
use crate::delivery::engine::{Engine, EngineOptions, EngineParts, LINGER};
use crate::delivery::event_id::event_id;
use crate::delivery::limiter::Limiter;
use crate::delivery::metrics::DeliveryMetrics;
use crate::delivery::operation::Kind;
use crate::delivery::reason::Reason;
use crate::runtime::clock::Clock;
use crate::runtime::run_script::RunScript;

/// How often the state is written: what is done since is sent again after a crash, and recognised.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// The longest wait before it is tried again whether Customer.io is back.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What a run is told.
pub struct SendSettings {
    /// The file; all its lines are good.
    pub file: InputFile,
    /// How many operations it holds.
    pub operations: u64,
    /// Go on with a run that was ended, where there is one.
    pub resume: bool,
    /// Many operations in a request, or one.
    pub mode: Mode,
    /// Requests in flight.
    pub in_flight: usize,
    /// The limit; 0 is none.
    pub requests_per_second: u32,
    /// Where it is shared with workers; nothing to keep it in the process.
    pub limit: Option<Arc<dyn RunScript>>,
    /// Where the workspace's data is kept.
    pub region: Region,
    /// Where requests go.
    pub endpoint: Endpoint,
    /// Where the credentials come from.
    pub credentials: CredentialsSource,
    /// The run ends when nothing was delivered for so long.
    pub patience: Duration,
    /// For time stamps.
    pub clock: Clock,
}

impl fmt::Debug for SendSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSettings").finish_non_exhaustive()
    }
}

/// A run that may begin: the file is its own, and it is known what is done.
#[derive(Debug)]
pub struct Ready {
    state: State,
    path: PathBuf,
    credentials: Credentials,
    /// Locked for as long as this lives.
    _lock: Option<File>,
}

impl Ready {
    /// How far it is already.
    pub fn progress(&self) -> Progress {
        progress(&self.state)
    }
}

/// What a run before had found.
#[derive(Debug, Clone, Copy)]
pub struct Begun {
    /// Operations.
    pub operations: u64,
    /// The bytes that hold them.
    pub length: u64,
}

/// A run over the file at `path` that is there to go on with, so that its lines need no check.
pub fn begun(path: &Path) -> Result<Option<Begun>, SendError> {
    let state = State::load(&State::path(path))?;
    Ok(state.map(|state| Begun {
        operations: state.operations,
        length: state.length,
    }))
}

/// Makes sure that a run may begin, and writes its state, before anything is sent.
///
/// # Errors
/// See [`SendError::is_usage`].
pub async fn begin(settings: &SendSettings) -> Result<Ready, SendError> {
    let credentials = settings.credentials.read().await?;
    // The endpoint too: what a simulator took, Customer.io has not.
    let workspace = format!(
        "{}:{}:{}",
        settings.region.as_str(),
        credentials.site_id(),
        settings.endpoint.as_str()
    );
    let (file, resume) = (settings.file.clone(), settings.resume);
    let (now_ms, operations) = (settings.clock.now_ms(), settings.operations);
    let work = tokio::task::spawn_blocking(move || {
        let lock = lock(&file)?;
        let path = State::path(&file.path);
        let fingerprint = fingerprint(&file, &workspace)?;
        let state = match State::load(&path)? {
            Some(state) if resume && state.is_of(&fingerprint) => state,
            Some(_) if resume => return Err(SendError::Changed(path)),
            Some(state) if !state.is_finished() => return Err(SendError::Unfinished(path)),
            _ => {
                let state = State::new(now_ms, fingerprint, file.length, operations);
                new_run(&file, state)?
            }
        };
        state.save(&path)?;
        Ok((state, path, lock))
    });
    let (state, path, lock) = work.await??;
    Ok(Ready {
        state,
        path,
        credentials,
        _lock: lock,
    })
}

/// Lines that failed before are nowhere else: they are not written over.
fn new_run(file: &InputFile, state: State) -> Result<State, SendError> {
    let failed = FailedFile::path(&file.path);
    match failed.metadata() {
        Ok(found) if found.len() > 0 => Err(SendError::FailedBefore(failed)),
        _ => Ok(state),
    }
}

/// The file, locked against another run; not where the file system knows no locks.
fn lock(file: &InputFile) -> Result<Option<File>, SendError> {
    let open = File::open(&file.path).map_err(|error| input::unreadable(&file.path, error))?;
    match open.try_lock() {
        Ok(()) => Ok(Some(open)),
        Err(std::fs::TryLockError::WouldBlock) => Err(SendError::Busy(file.path.clone())),
        Err(std::fs::TryLockError::Error(_)) => Ok(None),
    }
}

/// Delivers what is not done yet, and tells `show` after each operation. The counts are of all
/// runs over the file together.
///
/// # Errors
/// When it ends before everything is done; the state is written then, unless that is the error.
pub async fn send(
    settings: SendSettings,
    ready: Ready,
    show: &mut dyn FnMut(Progress),
    stop: CancellationToken,
) -> Result<Progress, SendError> {
    let halt = stop.child_token();
    let _halt_too = halt.clone().drop_guard();
    let registry = Registry::new();
    let metrics = DeliveryMetrics::new(&registry)?;
    let breaker = Breaker::new(LONGEST_WAIT, metrics.circuit.clone());
    let engine = engine(&settings, &ready.credentials, metrics, &breaker, &halt)?;
    let failed = FailedFile::path(&settings.file.path);
    let mut run = Run {
        failed: FailedFile::open(failed, ready.state.failed_bytes)?,
        last: Instant::now(),
        patience: settings.patience,
        mode: settings.mode,
        breaker: breaker.clone(),
        engine: engine.clone(),
        state: ready.state,
        path: ready.path,
        show,
    };
    let mut flight = Flight::new(engine.clone(), breaker);
    let outcome = run.fly(&settings.file, &mut flight, &halt).await;
    halt.cancel();
    let landed = flight.land().await;
    engine.stopped().await;
    run.finish(landed, outcome).await
}

fn engine(
    settings: &SendSettings,
    credentials: &Credentials,
    metrics: DeliveryMetrics,
    breaker: &Breaker,
    halt: &CancellationToken,
) -> Result<Engine, SendError> {
    let (_, credentials) = watch::channel(Arc::new(credentials.clone()));
    let rate = settings.requests_per_second;
    let limit = || match &settings.limit {
        Some(store) => Limiter::new(
            Arc::clone(store),
            settings.region,
            credentials.clone(),
            rate,
            metrics.limit.clone(),
        ),
        None => Limiter::local(rate, metrics.limit.clone()),
    };
    let limiter = (rate > 0).then(limit);
    let options = EngineOptions {
        mode: settings.mode,
        in_flight: settings.in_flight,
        linger: LINGER,
    };
    let client = TrackClient::new(&settings.endpoint, credentials, settings.in_flight)
        .map_err(SendError::Certificates)?;
    let parts = EngineParts {
        client,
        limiter,
        metrics,
        clock: settings.clock.clone(),
        breaker: breaker.clone(),
    };
    Ok(Engine::start(options, parts, halt.clone()))
}

/// The part of an event's id that names the run; no queue is called so.
fn source(run: &str) -> String {
    format!("send:{run}")
}

struct Run<'a> {
    state: State,
    path: PathBuf,
    failed: FailedFile,
    mode: Mode,
    breaker: Breaker,
    engine: Engine,
    patience: Duration,
    /// When an operation landed last.
    last: Instant,
    show: &'a mut dyn FnMut(Progress),
}

impl Run<'_> {
    /// Sends until all have landed, or something stands in the way.
    async fn fly(
        &mut self,
        file: &InputFile,
        flight: &mut Flight,
        halt: &CancellationToken,
    ) -> Result<(), SendError> {
        let mut feed = self.feed(file.clone());
        let mut more = true;
        let mut ticks = interval(SAVE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while more || !flight.is_empty() {
            tokio::select! {
                biased;
                () = halt.cancelled() => return Err(SendError::Interrupted),
                _ = ticks.tick() => {
                    self.save().await?;
                    self.look_around()?;
                }
                next = feed.next(), if more && flight.has_room() => match next {
                    Some(next) => flight.add(next?),
                    None => more = false,
                },
                landed = flight.next(), if !flight.is_empty() || !flight.has_room() => {
                    if let Some(landed) = landed {
                        self.landed(landed)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn feed(&self, file: InputFile) -> Feed<Prepared> {
        let (mode, started_ms) = (self.mode, self.state.started_ms());
        let source = source(self.state.run());
        Feed::start(file, self.state.done.clone(), move |number, line| {
            let operation = input::read(line, started_ms)?;
            let job = JobRef {
                queue: &source,
                id: &number.to_string(),
            };
            Ok(prepare(&operation, mode, job)?)
        })
    }

    fn landed(&mut self, landed: Landed) -> Result<(), SendError> {
        let number = match landed {
            Landed::Delivered(fed) => {
                self.state.succeeded += 1;
                fed.number
            }
            Landed::Failed(fed, reason) => {
                self.note(&fed, &reason)?;
                self.state.failed += 1;
                fed.number
            }
        };
        self.state.done.insert(number);
        self.last = Instant::now();
        (self.show)(progress(&self.state));
        Ok(())
    }

    fn note(&mut self, fed: &Fed<Prepared>, reason: &Reason) -> Result<(), SendError> {
        let operation = &fed.item;
        let id = event_id(
            &source(self.state.run()),
            &fed.number.to_string(),
            operation.enqueued_at_ms,
        );
        let id = (operation.kind == Kind::Track).then_some(id);
        // The text was made from a value.
        let line = serde_json::from_str(&fed.text).unwrap_or_default();
        self.failed
            .add(line, id, operation.enqueued_at_ms, &reason.to_string())
    }

    /// Ends what cannot go on.
    fn look_around(&self) -> Result<(), SendError> {
        let open = *self.breaker.circumstance().borrow() != Circumstance::Deliverable;
        let cause = self.breaker.cause().filter(|_| open);
        if let Some(reason) = &cause
            && matches!(reason.class, "unauthorized" | "redirected")
        {
            return Err(SendError::Refused(reason.clone()));
        }
        if self.last.elapsed() > self.patience {
            return Err(SendError::Stalled(self.patience, self.cause(cause)));
        }
        Ok(())
    }

    /// Why nothing lands: what Customer.io said, else what keeps requests from being sent.
    fn cause(&self, said: Option<Reason>) -> String {
        let limit = || self.engine.limit_error();
        match said {
            Some(reason) => format!(": {reason}"),
            None => limit().map_or_else(String::new, |error| {
                format!(": no turn in the workspace's limit: {error}")
            }),
        }
    }

    async fn save(&mut self) -> Result<(), SendError> {
        self.state.failed_bytes = self.failed.sync()?;
        let (state, path) = (self.state.clone(), self.path.clone());
        tokio::task::spawn_blocking(move || state.save(&path)).await?
    }

    async fn finish(
        mut self,
        landed: Vec<Landed>,
        outcome: Result<(), SendError>,
    ) -> Result<Progress, SendError> {
        for landed in landed {
            self.landed(landed)?;
        }
        self.save().await?;
        outcome?;
        if !self.state.is_finished() {
            let (checked, found) = (
                self.state.operations,
                self.state.succeeded + self.state.failed,
            );
            return Err(SendError::Shortened { checked, found });
        }
        if self.state.failed == 0 {
            let removed = std::fs::remove_file(&self.path);
            removed.map_err(|error| super::state::unwritable(&self.path, error))?;
        }
        Ok(progress(&self.state))
    }
}

fn progress(state: &State) -> Progress {
    Progress {
        total: state.operations,
        succeeded: state.succeeded,
        failed: state.failed,
    }
}
