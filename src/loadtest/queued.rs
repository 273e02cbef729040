//! `--through queue`: jobs go into the queue, and how long it takes until a worker has them accepted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::engine::Shared;
use super::run::RunError;
use crate::delivery::operation::Kind;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::jobs::add::{Adder, NewJob, guide_options};
use crate::queue::jobs::endings::{Asker, Ended, Endings, FinalState};
use crate::queue::jobs::withdraw::withdraw;
use crate::queue::names::{Prefix, QueueKeys, QueueName};
use crate::queue::source::RedisSource;

/// So long without the end of a job while some are in the queue: nobody works on it.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Jobs that are not at their end; one more is not added, and counts as an error.
const MOST_PENDING: usize = 1_000_000;
/// Ends of jobs that were heard of before adding them was answered.
const MOST_EARLY: usize = 1_024;
/// Jobs asked for at once, the oldest first: their event may be lost.
const ASKED: usize = 500;
/// Between two looks at what is still pending, and after an error of Redis.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The queue that jobs go through.
#[derive(Debug, Clone)]
pub struct QueueTarget {
    /// Where Redis is.
    pub source: RedisSource,
    /// What the keys begin with.
    pub prefix: Prefix,
    /// The queue.
    pub queue: QueueName,
    /// Counts what a run leaves in it.
    pub doubt: Doubt,
}

/// The jobs that were handed to Redis and are neither known to have ended nor taken out again: each may
/// create its user after the clean-up. A clone counts into the same.
#[derive(Debug, Clone, Default)]
pub struct Doubt(Arc<AtomicUsize>);

impl Doubt {
    /// How many.
    pub fn jobs(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Puts jobs in, cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Enqueuer {
    target: QueueTarget,
    redis: Redis,
    keys: QueueKeys,
    adder: Adder,
    shared: Arc<Shared>,
    jobs: Arc<Mutex<Jobs>>,
}

/// A job that is not at its end.
#[derive(Debug, Clone, Copy)]
struct Pending {
    kind: Kind,
    since: Instant,
}

#[derive(Debug, Default)]
struct Jobs {
    /// By id, which BullMQ counts up: the oldest is the first.
    pending: BTreeMap<u64, Pending>,
    early: VecDeque<(u64, FinalState, Instant)>,
    /// Jobs that are being added.
    adding: usize,
    /// When a job ended, or the first of those pending was added.
    moved: Option<Instant>,
    doubt: Doubt,
}

impl Enqueuer {
    pub(super) fn new(target: QueueTarget, shared: Arc<Shared>) -> Self {
        let redis = Redis::new(target.source.clone());
        let keys = QueueKeys::new(&target.prefix, &target.queue);
        let jobs = Jobs {
            doubt: target.doubt.clone(),
            ..Jobs::default()
        };
        Self {
            adder: Adder::new(redis.clone(), keys.clone(), &guide_options()),
            target,
            redis,
            keys,
            shared,
            jobs: Arc::new(Mutex::new(jobs)),
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one job and measures how long that takes. One that Redis gave no answer for may be in the
    /// queue all the same: it stays in doubt, and so does one whose adding is given up.
    pub(super) async fn add(&self, kind: Kind, data: &str) {
        let since = Instant::now();
        let id = if self.jobs().begin() {
            let name = kind.as_str();
            let added = self.adder.add(&[NewJob { name, data }]).await;
            self.jobs().adding -= 1;
            added.ok().and_then(|ids| ids.first()?.parse().ok())
        } else {
            None
        };
        let added_in = id.map(|_| since.elapsed());
        self.shared.record(|it| it.enqueued(kind, added_in));
        let Some(id) = id else { return };
        let early = self.jobs().added(id, Pending { kind, since });
        if let Some((state, at)) = early {
            self.record(Pending { kind, since }, state, at);
        }
    }

    fn record(&self, job: Pending, state: FinalState, at: Instant) {
        let after = (state == FinalState::Completed).then(|| at.duration_since(job.since));
        self.shared.record(|it| it.ended(job.kind, after));
    }

    fn ended(&self, ended: &[Ended]) {
        let now = Instant::now();
        for Ended { id, state } in ended {
            // An id that is no number is another producer's.
            let Ok(id) = id.parse() else { continue };
            let job = self.jobs().ended(id, *state, now);
            if let Some(job) = job {
                self.record(job, *state, now);
            }
        }
    }

    /// Hears of the ends of jobs until `done`; says so through `stop` when there are none for long.
    pub(super) async fn follow(
        &self,
        stop: CancellationToken,
        done: CancellationToken,
    ) -> Result<impl Future<Output = ()> + use<>, QueueError> {
        let QueueTarget {
            source,
            prefix,
            queue,
            doubt: _,
        } = &self.target;
        let mut endings = Endings::from_now(source.clone(), prefix, queue).await?;
        let this = self.clone();
        Ok(async move {
            while let Some(next) = done.run_until_cancelled(endings.next()).await {
                match next {
                    Ok(ended) => this.ended(&ended),
                    Err(_) => sleep(LOOK_EVERY).await,
                }
                if this.jobs().stands_still() {
                    stop.cancel();
                }
            }
        })
    }

    /// Waits for the ends of all jobs. Those that nobody takes, or that wait when `stop` is cancelled,
    /// are taken out of the queue: they would create users after the clean-up.
    pub(super) async fn drain(&self, stop: &CancellationToken) -> Result<(), RunError> {
        let asker = Asker::new(self.redis.clone(), self.keys.clone());
        while !self.jobs().pending.is_empty() && !stop.is_cancelled() {
            stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
            self.ask(&asker).await;
        }
        let nobody_works = self.jobs().stands_still();
        let ids = self.jobs().ids(usize::MAX);
        for id in withdraw(&self.redis, &self.keys, &ids).await? {
            if let Ok(id) = id.parse() {
                self.jobs().withdrawn(id);
            }
        }
        if nobody_works {
            return Err(RunError::NoWorker(self.target.queue.to_string()));
        }
        // What a worker has in hand comes to its end.
        while !self.jobs().pending.is_empty() && !self.jobs().stands_still() {
            sleep(LOOK_EVERY).await;
            self.ask(&asker).await;
        }
        match self.jobs().pending.len() {
            0 => Ok(()),
            left => Err(RunError::JobsLeft(left)),
        }
    }

    /// Events are lost where the stream is cut before they are read; jobs themselves know.
    async fn ask(&self, asker: &Asker) {
        let oldest = self.jobs().ids(ASKED);
        if let Ok(ended) = asker.ask(&oldest).await {
            self.ended(&ended);
        }
    }
}

impl Jobs {
    /// Whether one more may be added.
    fn begin(&mut self) -> bool {
        let fits = self.pending.len() + self.adding < MOST_PENDING;
        if fits {
            self.adding += 1;
            self.doubt.more();
        }
        fits
    }

    /// A job was added; its end, where that was heard of before.
    fn added(&mut self, id: u64, job: Pending) -> Option<(FinalState, Instant)> {
        let early = self.early.iter().position(|(early, ..)| *early == id);
        if let Some((_, state, at)) = early.and_then(|index| self.early.remove(index)) {
            self.moved = Some(at);
            self.doubt.less();
            return Some((state, at));
        }
        if self.pending.is_empty() {
            self.moved = Some(job.since);
        }
        self.pending.insert(id, job);
        None
    }

    /// A job ended: which, if it is one of ours and not yet known to have ended.
    fn ended(&mut self, id: u64, state: FinalState, now: Instant) -> Option<Pending> {
        let job = self.pending.remove(&id);
        if job.is_some() {
            self.moved = Some(now);
            self.doubt.less();
        } else if self.adding > 0 {
            self.early.push_back((id, state, now));
            if self.early.len() > MOST_EARLY {
                self.early.pop_front();
            }
        }
        job
    }

    /// A job was taken out of the queue again.
    fn withdrawn(&mut self, id: u64) {
        if self.pending.remove(&id).is_some() {
            self.doubt.less();
        }
    }

    fn stands_still(&self) -> bool {
        let quiet = self.moved.is_some_and(|at| at.elapsed() > PATIENCE);
        quiet && !self.pending.is_empty()
    }

    fn ids(&self, most: usize) -> Vec<String> {
        self.pending
            .keys()
            .take(most)
            .map(ToString::to_string)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Pending {
        Pending {
            kind: Kind::Track,
            since: Instant::now(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_is_counted_once_also_where_it_is_heard_of_before_the_job_was_added() {
        let mut jobs = Jobs::default();
        let now = Instant::now();
        assert!(jobs.begin());
        assert!(jobs.ended(1, FinalState::Failed, now).is_none());
        jobs.adding -= 1;
        assert_eq!(jobs.added(1, job()), Some((FinalState::Failed, now)));
        assert!(jobs.begin());
        jobs.adding -= 1;
        assert_eq!(jobs.added(2, job()), None);
        assert!(jobs.ended(2, FinalState::Completed, now).is_some());
        assert!(jobs.ended(2, FinalState::Completed, now).is_none());
        // Nothing is being added: another producer's.
        assert!(jobs.early.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_in_doubt_until_it_ended_or_was_taken_out_also_where_redis_gave_no_answer() {
        let mut jobs = Jobs::default();
        let (doubt, now) = (jobs.doubt.clone(), Instant::now());
        for _ in 1..=5 {
            assert!(jobs.begin());
        }
        jobs.ended(1, FinalState::Completed, now);
        for id in 1..=4 {
            jobs.adding -= 1;
            jobs.added(id, job());
        }
        // The fifth: no answer.
        jobs.adding -= 1;
        assert_eq!(doubt.jobs(), 4);
        jobs.ended(2, FinalState::Failed, now);
        jobs.withdrawn(3);
        for id in [1, 2, 3, 99] {
            jobs.withdrawn(id);
            jobs.ended(id, FinalState::Completed, now);
        }
        // The fourth is in the hands of a worker.
        assert_eq!(doubt.jobs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_stands_still_where_jobs_are_pending_and_none_ends() {
        let mut jobs = Jobs::default();
        tokio::time::advance(2 * PATIENCE).await;
        assert!(!jobs.stands_still());
        for id in [1, 2] {
            assert!(jobs.begin());
            jobs.added(id, job());
        }
        tokio::time::advance(PATIENCE).await;
        assert!(!jobs.stands_still());
        jobs.ended(1, FinalState::Completed, Instant::now());
        tokio::time::advance(PATIENCE).await;
        assert!(!jobs.stands_still());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(jobs.stands_still());
        jobs.ended(2, FinalState::Completed, Instant::now());
        assert!(!jobs.stands_still());
    }
}
