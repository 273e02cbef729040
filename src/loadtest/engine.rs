//! Starting each iteration when the schedule says, whatever the earlier ones are doing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::iteration::{self, Turn};
use super::journal::{Journal, JournalError};
use super::pace::Pace;
use super::profile::Profile;
use super::queued::Enqueuer;
use super::recorder::{Exchange, Recorder};
use super::run::RunError;
use super::schedule::Schedule;
use crate::delivery::client::TrackClient;
use crate::delivery::encode::Call;
use crate::delivery::operation::Kind;
use crate::delivery::refusal::Refusal;
use crate::runtime::clock::Clock;
use crate::runtime::http_client::TransportError;

/// How long iterations may take after the last one began: k6's graceful stop.
const GRACE: Duration = Duration::from_secs(30);

/// What the sending thread and its watcher share.
#[derive(Debug, Default)]
pub struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    recorder: Recorder,
    /// The users that are free, the longest idle one first.
    free: VecDeque<Turn>,
    pace: Pace,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the numbers.
    pub(super) fn record(&self, change: impl FnOnce(&mut Recorder)) {
        change(&mut self.lock().recorder);
    }

    /// A copy of the numbers.
    pub fn numbers(&self) -> Recorder {
        self.lock().recorder.clone()
    }

    /// How much of the schedule's rate is asked.
    pub fn pace(&self) -> Pace {
        self.lock().pace
    }

    /// Another share of it from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.lock().pace = pace;
    }
}

/// Where the two operations of an iteration go.
#[derive(Debug, Clone)]
pub(super) enum Sender {
    /// To the Track API.
    Api(TrackClient),
    /// Into the queue.
    Queue(Enqueuer),
}

/// What sends.
#[derive(Debug)]
pub struct Engine {
    /// The load.
    pub profile: Profile,
    /// The users are numbered after this.
    pub users_after: usize,
    /// The run's id.
    pub run: Arc<str>,
    /// The Track API, or the queue.
    pub(super) sender: Sender,
    /// For time stamps.
    pub clock: Clock,
    /// The users created.
    pub journal: Journal,
    /// The numbers.
    pub shared: Arc<Shared>,
}

/// One iteration's means.
struct Iteration {
    run: Arc<str>,
    sender: Sender,
    clock: Clock,
    shared: Arc<Shared>,
    think_time: Duration,
    due: Instant,
    turn: Turn,
}

impl Engine {
    /// Runs the profile to its end, or until `stop`; then waits for what was begun. One thread is
    /// enough, and costs less than several that wake each other: see docs/load-testing.md.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), RunError> {
        let Sender::Queue(enqueuer) = &self.sender else {
            return Ok(self.start_all(&stop).await?);
        };
        let (enqueuer, done) = (enqueuer.clone(), CancellationToken::new());
        let follow = enqueuer.follow(stop.clone(), done.clone()).await?;
        let work = async {
            let ended = match self.start_all(&stop).await {
                Ok(()) => enqueuer.drain(&stop).await,
                Err(error) => Err(error.into()),
            };
            done.cancel();
            ended
        };
        tokio::join!(work, follow).0
    }

    async fn start_all(&mut self, stop: &CancellationToken) -> Result<(), JournalError> {
        let schedule = Schedule::new(&self.profile);
        self.allocate();
        let tasks = TaskTracker::new();
        let start = Instant::now();
        for number in 1.. {
            let Some(due) = self.due(&schedule, start, number, stop).await else {
                break;
            };
            if let Some(iteration) = self.begin(due)? {
                tasks.spawn(iteration.run());
            }
        }
        tasks.close();
        if timeout(GRACE, tasks.wait()).await.is_err() {
            tracing::warn!(
                iterations = tasks.len(),
                "gave up on iterations that do not end"
            );
        }
        Ok(())
    }

    /// Waits until the `number`th iteration is due; nothing where there is none any more.
    async fn due(
        &self,
        schedule: &Schedule,
        start: Instant,
        number: u64,
        stop: &CancellationToken,
    ) -> Option<Instant> {
        while !stop.is_cancelled() {
            // Read again after each sleep: the pace may have fallen meanwhile.
            let due = start + self.shared.pace().due(schedule, number)?;
            if due <= Instant::now() {
                return Some(due);
            }
            stop.run_until_cancelled(sleep_until(due)).await;
        }
        None
    }

    fn allocate(&self) {
        let mut state = self.shared.lock();
        let users = self.profile.pre_allocated_users;
        state.free = (1..=users).map(|user| self.first_turn(user)).collect();
        state.recorder.allocated = users;
    }

    fn first_turn(&self, user: usize) -> Turn {
        Turn {
            user: self.users_after + user,
            iteration: 0,
        }
    }

    fn begin(&mut self, due: Instant) -> Result<Option<Iteration>, JournalError> {
        let Some(turn) = self.take_user() else {
            return Ok(None);
        };
        self.journal.note(&iteration::user_id(turn))?;
        Ok(Some(Iteration {
            run: Arc::clone(&self.run),
            sender: self.sender.clone(),
            clock: self.clock.clone(),
            shared: Arc::clone(&self.shared),
            think_time: self.profile.think_time,
            due,
            turn,
        }))
    }

    fn take_user(&self) -> Option<Turn> {
        let mut state = self.shared.lock();
        let turn = match state.free.pop_front() {
            Some(turn) => turn,
            None if state.recorder.allocated < self.profile.max_users => {
                state.recorder.allocated += 1;
                self.first_turn(state.recorder.allocated)
            }
            None => {
                state.recorder.dropped += 1;
                state.recorder.users_when_due = state.recorder.users;
                return None;
            }
        };
        state.recorder.users += 1;
        state.recorder.users_when_due = state.recorder.users;
        state.recorder.started += 1;
        Some(turn)
    }
}

impl Iteration {
    async fn run(self) {
        let begun = Instant::now();
        let user = iteration::user_id(self.turn);
        self.operation(Kind::Identify, &user).await;
        // A failed identify still sends its track, as in the guide.
        self.operation(Kind::Track, &user).await;
        sleep(self.think_time).await;
        let mut state = self.shared.lock();
        state.recorder.completed += 1;
        state.recorder.users -= 1;
        state.recorder.iterations.record(begun.elapsed());
        state.free.push_back(Turn {
            user: self.turn.user,
            iteration: self.turn.iteration + 1,
        });
    }

    async fn operation(&self, kind: Kind, user: &str) {
        let now_ms = self.clock.now_ms();
        match &self.sender {
            Sender::Api(client) => {
                let call = match kind {
                    Kind::Identify => iteration::identify(user, &self.run, now_ms),
                    Kind::Track => iteration::track(user, self.turn, &self.run, now_ms),
                };
                self.exchange(client, kind, call).await;
            }
            Sender::Queue(enqueuer) => {
                let job = iteration::job(kind, user, self.turn, now_ms);
                enqueuer.add(kind, &job).await;
            }
        }
    }

    async fn exchange(&self, client: &TrackClient, kind: Kind, call: Result<Call, Refusal>) {
        let Ok(call) = call else {
            // The ids are our own and short: what Customer.io documents refuses none of them.
            return;
        };
        let sent = Instant::now();
        let answer = client.send(&call).await;
        let exchange = Exchange {
            kind,
            status: answer.as_ref().ok().map(|it| it.status.as_u16()),
            from_send: sent.elapsed(),
            from_schedule: self.due.elapsed(),
            timed_out: matches!(answer, Err(TransportError::Timeout(_))),
            sent: call.body.len(),
            received: answer.as_ref().map_or(0, |it| it.body.len()),
        };
        let mut state = self.shared.lock();
        state.recorder.exchange(exchange);
        if let Err(error) = answer {
            state.recorder.unanswered(&error);
        }
    }
}
