//! The loop over the queue: jobs are taken while there is room for them, handed to the engine in
//! the order of the queue, and what became of them is written down with the next round trip.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failures::{self, Failure};
use super::hand::{Hand, Held};
use super::metrics::WorkerMetrics;
use super::processor::{Processor, Written, ending};
use super::settings::WorkerSettings;
use super::special::{self, Special};
use crate::delivery::circuit::{Breaker, Circumstance};
use crate::delivery::engine::Engine;
use crate::delivery::refusal::Refusal;
use crate::queue::QueueError;
use crate::queue::jobs::exchange::{Exchanged, JobQueue, Next, Room};
use crate::queue::jobs::finish::{Ending, Finished};
use crate::queue::jobs::marker::{LONGEST_WAIT, Marker};
use crate::queue::jobs::taken::{Data, MAX_DATA, Taken, Ticket};
use crate::runtime::backoff::Backoff;

/// Between attempts to reach Redis.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    most: Duration::from_secs(5),
};
/// Jobs taken, and jobs finished, in one round trip: Redis serves nobody else meanwhile, for some
/// 20 µs each.
const AT_ONCE: usize = 250;
/// For round trips that only write down what is done.
const NO_ROOM: Room = Room { jobs: 0, bytes: 1 };

/// What consumes the queue.
#[derive(Debug)]
pub(super) struct Consumer {
    /// Unique among all workers.
    pub(super) id: String,
    pub(super) settings: WorkerSettings,
    pub(super) queue: JobQueue,
    pub(super) marker: Marker,
    pub(super) processor: Processor,
    pub(super) special: Arc<Special>,
    pub(super) engine: Engine,
    pub(super) breaker: Breaker,
    pub(super) hand: Hand,
    pub(super) halt: CancellationToken,
    pub(super) metrics: WorkerMetrics,
}

/// A job that is done, until the queue knows it.
#[derive(Debug)]
struct Done {
    finished: Finished,
    failure: Option<Failure>,
    /// Whether it was not even tried.
    deferred: bool,
    held: Held,
}

impl Done {
    fn goes_back(&self) -> bool {
        matches!(self.finished.ending, Ending::PutBack)
    }
}

/// What the loop keeps in mind.
struct Loop {
    /// Jobs in the engine's hands.
    pending: FuturesUnordered<BoxFuture<'static, Done>>,
    done: Vec<Done>,
    /// Set while there is nothing to take: ends when there may be.
    wait: Option<JoinHandle<()>>,
    /// Round trips that failed in a row.
    failures: u32,
    /// Tokens given out.
    tokens: u64,
    /// When BullMQ's own loop was last let take jobs.
    special: Option<Instant>,
}

impl Consumer {
    /// Consumes until `stop`, then finishes what is in flight and gives the other jobs back, within
    /// the grace period.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let mut state = Loop {
            pending: FuturesUnordered::new(),
            done: Vec::new(),
            wait: None,
            failures: 0,
            tokens: 0,
            special: None,
        };
        // A round trip is not broken off: jobs that it took would be nobody's until their locks
        // run out.
        let consume = async {
            while !stop.is_cancelled() {
                self.step(&mut state, Some(stop)).await;
            }
        };
        tokio::select! {
            () = consume => {}
            () = self.follow() => {}
        }
        self.end(state).await;
    }

    /// Once around: whatever there is to do, or a wait for the next thing to happen. Jobs are taken
    /// until `stop`, and without one none are.
    async fn step(&self, state: &mut Loop, stop: Option<&CancellationToken>) {
        while let Some(Some(done)) = state.pending.next().now_or_never() {
            state.done.push(done);
        }
        let mut circumstance = self.breaker.circumstance();
        let now = *circumstance.borrow_and_update();
        let room = if stop.is_some() && state.wait.is_none() {
            self.room(now)
        } else {
            NO_ROOM
        };
        if room.jobs > 0 || !state.done.is_empty() {
            return self.round_trip(state, room, stop).await;
        }
        let waiting = state.wait.is_some();
        tokio::select! {
            Some(done) = state.pending.next() => state.done.push(done),
            _ = circumstance.changed() => {}
            () = ended(&mut state.wait), if waiting => {}
            () = stopped(stop) => {}
        }
    }

    async fn round_trip(&self, state: &mut Loop, room: Room, stop: Option<&CancellationToken>) {
        if let Err(error) = self.exchange(state, room).await {
            self.away(state, &error, stop).await;
        }
    }

    /// Redis does not answer.
    async fn away(&self, state: &mut Loop, error: &QueueError, stop: Option<&CancellationToken>) {
        state.failures += 1;
        self.metrics.redis_errors.inc();
        if state.failures == 1 {
            tracing::warn!(
                queue.name = %self.settings.queue,
                error = %error,
                "Redis does not answer; trying again until it does"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(BACKOFF.delay(state.failures)) => {}
            () = stopped(stop) => {}
        }
    }

    fn room(&self, circumstance: Circumstance) -> Room {
        let room = self.hand.room(circumstance);
        Room {
            jobs: room.jobs.min(AT_ONCE),
            ..room
        }
    }

    /// How many jobs BullMQ's loop may take at once, at least one; none while nothing can be delivered:
    /// then the next look is when that changes.
    fn for_bullmq(&self) -> Option<usize> {
        match *self.breaker.circumstance().borrow() {
            Circumstance::Down(_) => None,
            Circumstance::Probing => Some(1),
            now @ Circumstance::Deliverable => Some(self.room(now).jobs.max(1)),
        }
    }

    async fn exchange(&self, state: &mut Loop, room: Room) -> Result<(), QueueError> {
        state.tokens += 1;
        let token = self.token(state.tokens);
        // Jobs that go back to the front: the last one there is the first to be taken again.
        state.done.sort_by_key(|done| match done.finished.ending {
            Ending::PutBack => u64::MAX - done.held.number(),
            _ => 0,
        });
        let count = state.done.len().min(AT_ONCE);
        let finished: Vec<_> = state.done[..count]
            .iter()
            .map(|done| done.finished.clone())
            .collect();
        let exchanged = self.queue.exchange(&finished, room, &token).await?;
        self.written_down(state.done.drain(..count), &exchanged, state.failures > 0);
        state.failures = 0;
        self.take(state, exchanged, room);
        Ok(())
    }

    /// Logs what there is to log of jobs that the queue knows to be done. `again` is whether it was
    /// told before, without an answer: what it refuses now it may have taken then.
    fn written_down(&self, done: impl Iterator<Item = Done>, exchanged: &Exchanged, again: bool) {
        let queue = &self.settings.queue;
        let mut refused = exchanged.refused.iter().peekable();
        for (index, done) in done.enumerate() {
            let Ticket {
                id,
                attempts_made,
                policy,
                ..
            } = &done.finished.ticket;
            if let Some((_, refused)) = refused.next_if(|(at, _)| *at == index) {
                if !again {
                    self.metrics.refused(*refused);
                    failures::log_refused(queue, id, *refused);
                }
                continue;
            }
            if done.deferred {
                failures::log_deferred(queue, id);
            } else if let Some(failure) = &done.failure {
                let retry = matches!(done.finished.ending, Ending::Failed { retry: true, .. });
                let last = !retry || policy.is_last(*attempts_made);
                failures::log(queue, id, attempts_made + 1, last, failure);
            }
        }
    }

    fn take(&self, state: &mut Loop, exchanged: Exchanged, room: Room) {
        self.metrics.lost.inc_by(exchanged.lost);
        if exchanged.lost > 0 {
            tracing::warn!(
                queue.name = %self.settings.queue,
                queue.lost = exchanged.lost,
                "the queue named jobs that are not in Redis; they were removed from it"
            );
        }
        for job in exchanged.jobs {
            self.start(state, job);
        }
        if room.jobs == 0 {
            return;
        }
        state.wait = match exchanged.next {
            Next::Jobs => None,
            Next::Nothing(longest) => {
                let longest = longest.unwrap_or(LONGEST_WAIT);
                Some(self.wait(longest.min(special::longest_wait(state.special))))
            }
            Next::Special => {
                let jobs = self.for_bullmq();
                state.special = jobs.map(|_| Instant::now()).or(state.special);
                jobs.map(|jobs| self.let_bullmq_take(jobs))
            }
        };
    }

    fn start(&self, state: &mut Loop, job: Taken) {
        let Taken {
            ticket,
            name,
            data,
            deferred_failure,
        } = job;
        let lock = (ticket.id.clone(), Arc::clone(&ticket.token));
        let texts = name.len() + ticket.stacks.as_ref().map_or(0, String::len);
        let held = self.hand.hold(data.len() + texts, Some(lock));
        if let Some(reason) = deferred_failure {
            let ending = Ending::Failed {
                reason,
                retry: false,
            };
            let finished = Finished { ticket, ending };
            state.done.push(Done {
                finished,
                failure: None,
                deferred: true,
                held,
            });
            return;
        }
        let json = read(&data);
        let submitted = self.processor.submit(&Written {
            id: &ticket.id,
            name: &name,
            data: json.as_ref().map_err(Clone::clone),
            timestamp_ms: ticket.timestamp_ms,
            attempts_made: ticket.attempts_made,
            telemetry: ticket.policy.telemetry.as_deref(),
        });
        let done = move |outcome| {
            let (ending, failure) = ending(&name, outcome);
            let finished = Finished { ticket, ending };
            Done {
                finished,
                failure,
                deferred: false,
                held,
            }
        };
        state.pending.push(submitted.outcome().map(done).boxed());
    }

    /// Ends when there may be jobs again, at the latest after `longest`.
    fn wait(&self, longest: Duration) -> JoinHandle<()> {
        let marker = self.marker.clone();
        tokio::spawn(async move {
            if marker.wait(longest).await.is_err() {
                // The next round trip says what is wrong with Redis.
                tokio::time::sleep(BACKOFF.first).await;
            }
        })
    }

    /// Lets BullMQ's own loop take up to `jobs` jobs for a while. It is started on a task of its own:
    /// it tries long before it says that it cannot connect.
    fn let_bullmq_take(&self, jobs: usize) -> JoinHandle<()> {
        let special = Arc::clone(&self.special);
        let queue = self.settings.queue.clone();
        let circumstance = self.breaker.circumstance();
        tokio::spawn(async move {
            let resumed = tokio::time::timeout(special::PATIENCE, special.resume(jobs)).await;
            if let Err(error) = resumed.unwrap_or_else(|_| Err("no answer".to_owned())) {
                tracing::warn!(
                    queue.name = %queue,
                    error,
                    "BullMQ's loop could not be started; trying again"
                );
            }
            // Who stops it when nothing can be delivered may have been faster than the start.
            let now = *circumstance.borrow();
            if now == Circumstance::Deliverable || (now == Circumstance::Probing && jobs == 1) {
                tokio::time::sleep(special::TURN).await;
            }
            special.pause();
        })
    }

    /// Unique among all workers of the queue, and for each round trip.
    fn token(&self, number: u64) -> Arc<str> {
        format!("{}:{number}", self.id).into()
    }

    /// While nothing can be delivered, one job now and then shows whether it can again.
    async fn follow(&self) {
        let mut circumstance = self.breaker.circumstance();
        loop {
            let now = *circumstance.borrow_and_update();
            if let Circumstance::Down(wait) = now {
                self.special.pause();
                tokio::time::sleep(wait).await;
                self.breaker.probe();
            } else if circumstance.changed().await.is_err() {
                return;
            }
        }
    }

    /// Writes outcomes down as they come until nothing is in flight any more: a process that is killed
    /// before its last request ends leaves few to be delivered again. What goes back into the queue
    /// waits for the last of it, since its order counts.
    async fn write_down_what_ends(&self, state: &mut Loop) {
        let mut over = std::pin::pin!(self.engine.stopped());
        let mut back = Vec::new();
        loop {
            while let Some(Some(done)) = state.pending.next().now_or_never() {
                state.done.push(done);
            }
            back.extend(state.done.extract_if(.., |done| done.goes_back()));
            while !state.done.is_empty() {
                self.round_trip(state, NO_ROOM, None).await;
            }
            tokio::select! {
                () = &mut over => break,
                Some(done) = state.pending.next() => state.done.push(done),
            }
        }
        state.done.append(&mut back);
    }

    /// Takes no more jobs, lets the requests in flight finish and gives the other jobs back.
    async fn end(&self, mut state: Loop) {
        let deadline = Instant::now() + self.settings.grace;
        if let Some(wait) = state.wait.take() {
            wait.abort();
            // Until it is over it could start BullMQ's loop yet; that it was aborted is no news.
            wait.await.ok();
        }
        self.special.pause();
        self.halt.cancel();
        let give_back = async {
            self.write_down_what_ends(&mut state).await;
            while !(state.pending.is_empty() && state.done.is_empty()) {
                self.step(&mut state, None).await;
            }
        };
        if tokio::time::timeout_at(deadline, give_back).await.is_err() {
            tracing::warn!("jobs were still in hand at the end of the grace period");
        }
        self.special.end(deadline).await;
    }
}

/// What a job's data says.
fn read(data: &Data) -> Result<Value, Refusal> {
    match data {
        Data::Taken(bytes) => serde_json::from_slice(bytes).map_err(|_| Refusal::DataNotJson),
        Data::TooLong(bytes) => Err(Refusal::DataTooLong {
            bytes: *bytes,
            limit: MAX_DATA,
        }),
    }
}

/// Never without one.
async fn stopped(stop: Option<&CancellationToken>) {
    match stop {
        Some(stop) => stop.cancelled().await,
        None => std::future::pending().await,
    }
}

async fn ended(wait: &mut Option<JoinHandle<()>>) {
    if let Some(task) = wait {
        // A wait that was aborted or panicked is over, too.
        task.await.ok();
    }
    *wait = None;
}
