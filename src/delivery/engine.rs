//! The engine: takes prepared operations, sends them in turn, answers each with its outcome.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Span;

use super::Mode;
use super::batch::{BatchLimits, Batcher, Entry};
use super::circuit::{Admission, Breaker, Order};
use super::encode::{BATCH_OVERHEAD, Encoded, ITEM_OVERHEAD, MAX_BATCH, Prepared};
use super::limiter::Turn;
use super::outcome::Outcome;
pub use super::requests::EngineParts;
use super::requests::{Requests, Waiting};

/// How long an operation waits for others to share its request.
pub const LINGER: Duration = Duration::from_millis(50);

/// How the engine works.
#[derive(Debug, Clone, Copy)]
pub struct EngineOptions {
    /// Many operations in a request, or one.
    pub mode: Mode,
    /// Requests in flight at the same time.
    pub in_flight: usize,
    /// How long an operation waits for others in batch mode.
    pub linger: Duration,
}

/// A running engine, cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Batcher<Waiting>>,
    changed: Notify,
    slots: Arc<Semaphore>,
    requests: Requests,
    breaker: Breaker,
    stop: CancellationToken,
}

impl Engine {
    /// Starts it. From `stop` on nothing new is sent: what waits is returned, what is in flight
    /// is finished.
    pub fn start(options: EngineOptions, parts: EngineParts, stop: CancellationToken) -> Self {
        let breaker = parts.breaker.clone();
        let shared = Arc::new(Shared {
            queue: Mutex::new(Batcher::new(limits(options))),
            changed: Notify::new(),
            slots: Arc::new(Semaphore::new(options.in_flight)),
            requests: Requests::new(parts, stop.clone()),
            breaker,
            stop,
        });
        let tasks = TaskTracker::new();
        tasks.spawn(dispatch(Arc::clone(&shared), tasks.clone()));
        Self { shared, tasks }
    }

    /// Delivers one operation. `order` says where it stands among its user's: smaller goes first.
    pub async fn deliver(&self, operation: Prepared, order: Order) -> Outcome {
        self.submit(operation, order).outcome().await
    }

    /// Takes in one operation. Those of one user are sent in the order they are submitted in, but
    /// for those that are overtaken before they are sent: there `order` decides.
    pub fn submit(&self, operation: Prepared, order: Order) -> Submitted {
        let breaker = &self.shared.breaker;
        let mut queue = self.shared.queue();
        // Looked at under the lock that `dispatch` drains under: nothing slips in behind it.
        let admission = if self.shared.stop.is_cancelled() {
            Admission::Return
        } else {
            breaker.admit(&operation.user, order)
        };
        let turned_away = |outcome: Outcome| {
            self.shared.requests.turned_away(operation.kind, &outcome);
            Submitted::settled(outcome)
        };
        let (alone, probe) = match admission {
            Admission::Send { alone, probe } => (alone, probe),
            Admission::Return => return turned_away(Outcome::Returned),
            Admission::PutAside => return turned_away(Outcome::Held(breaker.aside(None))),
        };
        let (reply, outcome) = oneshot::channel();
        let mut entry = entry(operation, order, probe, reply);
        entry.alone |= alone;
        queue.push(entry);
        drop(queue);
        self.shared.changed.notify_one();
        Submitted {
            outcome: Err(outcome),
            probe: probe.then(|| breaker.clone()),
        }
    }

    /// Why nothing gets its turn in the workspace's limit, while nothing does.
    pub fn limit_error(&self) -> Option<String> {
        self.shared.requests.limit_error()
    }

    /// Waits until, after `stop`, the last request in flight has been answered.
    pub async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// An operation that is to be delivered.
#[derive(Debug)]
pub struct Submitted {
    outcome: Result<Outcome, oneshot::Receiver<Outcome>>,
    /// Set where it shows whether anything can be delivered.
    probe: Option<Breaker>,
}

impl Submitted {
    fn settled(outcome: Outcome) -> Self {
        Self {
            outcome: Ok(outcome),
            probe: None,
        }
    }

    /// Waits until it is settled.
    pub async fn outcome(self) -> Outcome {
        let outcome = match self.outcome {
            Ok(outcome) => outcome,
            Err(outcome) => outcome.await.unwrap_or(Outcome::Returned),
        };
        if let Some(breaker) = self.probe.filter(|_| outcome == Outcome::Returned) {
            breaker.not_probed();
        }
        outcome
    }
}

fn limits(options: EngineOptions) -> BatchLimits {
    match options.mode {
        Mode::Batch => BatchLimits {
            max_bytes: MAX_BATCH - BATCH_OVERHEAD,
            max_items: usize::MAX,
            linger: options.linger,
        },
        Mode::Single => BatchLimits {
            max_bytes: usize::MAX,
            max_items: 1,
            linger: Duration::ZERO,
        },
    }
}

fn entry(
    operation: Prepared,
    order: Order,
    probe: bool,
    reply: oneshot::Sender<Outcome>,
) -> Entry<Waiting> {
    let Prepared {
        user,
        kind,
        enqueued_at_ms,
        encoded,
    } = operation;
    Entry {
        user: Arc::clone(&user),
        bytes: encoded.len() + ITEM_OVERHEAD,
        alone: matches!(encoded, Encoded::Call(_)),
        order,
        since: Instant::now(),
        payload: Waiting {
            user,
            order,
            probe,
            encoded,
            kind,
            enqueued_at_ms,
            span: Span::current(),
            reply,
        },
    }
}

/// One request after the other gets a slot and a turn; then what is ready by now is taken. While
/// it waits for either, a batch fills.
async fn dispatch(shared: Arc<Shared>, tasks: TaskTracker) {
    while let Some((slot, turn)) = shared.stop.run_until_cancelled(shared.next_send()).await {
        let entries = shared.queue().take();
        if entries.is_empty() {
            continue;
        }
        tasks.spawn(send(Arc::clone(&shared), entries, slot, turn));
    }
    shared.give_back();
}

async fn send(
    shared: Arc<Shared>,
    entries: Vec<Entry<Waiting>>,
    slot: OwnedSemaphorePermit,
    turn: Option<Turn>,
) {
    let users = entries.iter().map(|entry| Arc::clone(&entry.user));
    let lanes = Lanes {
        users: users.collect(),
        shared: Arc::clone(&shared),
    };
    let waiting = entries.into_iter().map(|entry| entry.payload).collect();
    shared.requests.deliver(waiting, turn).await;
    drop(lanes);
    if shared.breaker.is_open() {
        shared.give_back();
    }
    drop(slot);
    shared.changed.notify_one();
}

/// The users of a request in flight. When it is over their next operations may go, also where it ended
/// by a panic: they would wait for ever.
struct Lanes {
    users: Vec<Arc<str>>,
    shared: Arc<Shared>,
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.shared.queue().release(self.users.iter());
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Batcher<Waiting>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what waits.
    fn give_back(&self) {
        let entries = self.queue().drain();
        for entry in entries {
            self.requests.finish(entry.payload, Outcome::Returned);
        }
    }

    /// Waits until there is something to send, room for a request in flight, and a turn.
    async fn next_send(&self) -> (OwnedSemaphorePermit, Option<Turn>) {
        loop {
            self.ready().await;
            // The semaphore is never closed.
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                continue;
            };
            let wanted = self
                .queue()
                .demand()
                .min(self.slots.available_permits() + 1);
            let turn = self.requests.turn(wanted).await;
            return (slot, turn);
        }
    }

    async fn ready(&self) {
        loop {
            let at = self.queue().ready_at();
            match at {
                Some(at) if at <= Instant::now() => return,
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(at) => {}
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }
}
