//! The workspace's limit: when the next request may be sent, agreed among all pods over Redis.
//!
//! A request needs a [`Turn`]. Turns are reserved in Redis (`limit.lua`), a few at a time and at
//! most 100 ms ahead, and each is good for a few milliseconds: one that could not be used in time
//! is dropped, so that requests held up by a busy machine do not bunch up behind the others.
//! If Redis does not answer, nobody gets a turn. A process that delivers alone may keep the limit
//! to itself ([`Limiter::local`]). Others may look at how much of it is used ([`usage`]),
//! and by whom ([`sharers`]).

mod announce;
mod local;
mod notice;
mod script;
pub mod sharers;
mod turns;
pub mod usage;

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::Script;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

pub use self::announce::Announcer;
use self::local::LocalLimit;
use self::notice::Notice;
pub use self::script::limit_key;
use self::script::{Question, Reply, ask};
pub use self::turns::Turn;
use self::turns::Turns;
use super::client::Region;
use super::credentials::Credentials;
use super::metrics::LimitMetrics;
use crate::runtime::backoff::Backoff;
use crate::runtime::run_script::RunScript;

/// Between questions while Redis does not answer.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    most: Duration::from_secs(2),
};
/// A Retry-After beyond this holds the workspace no longer (`limit.lua` believes no hold that is
/// longer): what Customer.io asks for is minutes, and a proxy's mistake must not stop all for days.
const MAX_HOLD: Duration = Duration::from_mins(5);
/// Up to so long past the time to ask again one waits more, by chance, so that waiting pods do not
/// ask in step. Less than what is reserved ahead: nothing is lost.
const SCATTER: Duration = Duration::from_millis(30);
/// An answer that was longer under way says nothing of the next one.
const MAX_LEAD: Duration = Duration::from_secs(1);
/// Turns for so much time are reserved at once.
const AT_ONCE: Duration = Duration::from_millis(25);

/// One process' share in a workspace's limit.
pub struct Limiter {
    rate: u32,
    kept: Kept,
    metrics: LimitMetrics,
    /// Held by whoever reserves turns, which may take long; the others wait for it in order.
    line: Mutex<()>,
    /// Locked only for moments.
    state: StdMutex<State>,
}

/// Where the limit is kept.
enum Kept {
    Shared(Shared),
    Here(StdMutex<LocalLimit>),
}

/// In Redis, by workspace.
struct Shared {
    store: Arc<dyn RunScript>,
    script: Script,
    sharer: String,
    region: Region,
    credentials: watch::Receiver<Arc<Credentials>>,
}

#[derive(Debug, Default)]
struct State {
    turns: Turns,
    /// What Redis said last of the first free moment; 0 for nothing yet.
    known: u64,
    /// How long its last answer was under way.
    lead: Duration,
    /// Answers 429 that this process told of.
    throttled: u64,
    notice: Notice,
}

impl Limiter {
    /// A share of at most `rate` requests a second in the limit of the workspace of `credentials`.
    pub fn new(
        store: Arc<dyn RunScript>,
        region: Region,
        credentials: watch::Receiver<Arc<Credentials>>,
        rate: u32,
        metrics: LimitMetrics,
    ) -> Self {
        let shared = Shared {
            store,
            script: Script::new(include_str!("limit.lua")),
            sharer: format!("{:016x}", rand::random::<u64>()),
            region,
            credentials,
        };
        Self::with(Kept::Shared(shared), rate, metrics)
    }

    /// A limit of `rate` requests a second, at least 1, for this process alone.
    pub fn local(rate: u32, metrics: LimitMetrics) -> Self {
        let rate = rate.max(1);
        let local = LocalLimit::new(rate, Instant::now());
        Self::with(Kept::Here(StdMutex::new(local)), rate, metrics)
    }

    fn with(kept: Kept, rate: u32, metrics: LimitMetrics) -> Self {
        metrics.rate.set(rate.into());
        Self {
            rate,
            kept,
            metrics,
            line: Mutex::default(),
            state: StdMutex::default(),
        }
    }

    /// Waits for a turn. `wanted` says how many requests are ready to be sent: so many turns may
    /// be reserved with this one. Ends only with a turn; whoever stops waiting gives nothing back,
    /// for no one else could use it in time.
    pub async fn turn(&self, wanted: usize) -> Turn {
        let asked_at = Instant::now();
        loop {
            let turn = self.reserve(wanted).await;
            turn.due().await;
            if turn.is_good() {
                let took = asked_at.elapsed();
                self.metrics.wait.observe(took.as_secs_f64());
                return turn.after(took);
            }
        }
    }

    /// Tells everyone that Customer.io answered 429, and what it asked to wait.
    pub async fn throttled(&self, retry_after: Option<Duration>) {
        let hold = retry_after.unwrap_or_default().min(MAX_HOLD);
        // Turns that were reserved before are spaced for a rate that is no longer allowed.
        let forget = || {
            let mut state = self.state();
            state.throttled += 1;
            state.turns.clear();
        };
        forget();
        if let Err(error) = self.ask(0, Some(hold)).await {
            self.metrics.errors.inc();
            tracing::warn!(error = %error, "the other workers could not be told of an answer 429");
        }
        forget();
    }

    /// Why there are no turns, while Redis does not answer.
    pub fn error(&self) -> Option<String> {
        self.state().notice.error().map(str::to_owned)
    }

    /// A reserved turn, its time still to come.
    async fn reserve(&self, wanted: usize) -> Turn {
        // Whoever waits here comes next: the lock is fair.
        let _line = self.line.lock().await;
        let mut failures = 0;
        loop {
            if let Some(turn) = self.state().turns.next() {
                return turn;
            }
            match self.ask(wanted.max(1), None).await {
                Ok(reply) => {
                    self.state().notice.answered(&mut failures);
                    if reply.granted == 0 {
                        tokio::time::sleep(again_in(&reply)).await;
                    }
                }
                Err(error) => {
                    self.metrics.errors.inc();
                    self.state().notice.failed(&mut failures, &error);
                    tokio::time::sleep(BACKOFF.delay(failures)).await;
                }
            }
        }
    }

    async fn ask(&self, wanted: usize, throttled: Option<Duration>) -> Result<Reply, String> {
        let (known, lead, wanted, before) = {
            let state = self.state();
            let wanted = wanted.min(state.turns.at_once(AT_ONCE));
            (state.known, state.lead, wanted, state.throttled)
        };
        let sent = Instant::now();
        let reply = match &self.kept {
            Kept::Shared(shared) => {
                let asked = shared.ask(self.rate, wanted, (known, lead), throttled);
                asked.await?
            }
            Kept::Here(local) => lock(local).ask(wanted, throttled, sent),
        };
        let mut state = self.state();
        if let Kept::Shared(_) = self.kept {
            state.lead = (sent.elapsed() / 2).min(MAX_LEAD);
        }
        state.known = reply.next;
        if state.throttled == before {
            let from = sent + state.lead;
            state.turns.granted(from, &reply);
        }
        state.notice.rate(self.rate, &reply);
        self.metrics.rate.set(reply.rate());
        Ok(reply)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn ask(
        &self,
        rate: u32,
        wanted: usize,
        (known, lead): (u64, Duration),
        throttled: Option<Duration>,
    ) -> Result<Reply, String> {
        let key = limit_key(self.region, self.credentials.borrow().site_id());
        let question = Question {
            key: &key,
            sharer: &self.sharer,
            rate,
            wanted,
            known,
            lead,
            throttled,
        };
        ask(self.store.as_ref(), &self.script, &question).await
    }
}

fn again_in(reply: &Reply) -> Duration {
    let wait = Duration::from_micros(reply.wait_us.max(0).unsigned_abs());
    wait + SCATTER.mul_f64(rand::random::<f64>())
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
