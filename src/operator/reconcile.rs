//! One pipeline, brought to what its spec says: the list of steps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Client, Resource, ResourceExt};
use rand::RngExt;
use tokio::time::Instant;

use super::apply::apply;
use super::budget::Budget;
use super::build::build;
use super::caches::{Caches, Everywhere};
use super::dereference::{Observed, Sources, dereference};
use super::error::{Error, MOST_CHARACTERS};
use super::events::Events;
use super::lease::Leadership;
use super::limits::Limits;
use super::metrics::Metrics;
use super::settled::Settled;
use super::status::{self, News};
use super::told::Told;
use super::turns::Turns;
use super::validate::{Refusal, Settings, validate};
use crate::adapter::pod_client::PodClient;
use crate::api::{CioPipeline, CioPipelineStatus};
use crate::runtime::clock::Clock;

/// How often a pipeline is looked at when nothing happens: its queue's depth is no event.
const RESYNC: Duration = Duration::from_secs(10);
/// All pipelines together are looked at no more often than this for nothing: what changed would
/// have to wait behind them.
const RESYNC_EACH: Duration = Duration::from_millis(40);
/// A look that took long comes back later by so much: it is a busy time, or a pod that hangs.
const RESYNC_TOOK: u32 = 20;
/// And no later than this, but for what scatters the looks.
const RESYNC_MOST: Duration = Duration::from_mins(2);
/// What was refused waits for its user: what stood in its way may go without an event here.
const RESYNC_REFUSED: Duration = Duration::from_secs(30);
/// A reconcile that takes longer than this is given up and tried again.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// What every reconcile shares.
pub(super) struct Context {
    pub(super) client: Client,
    /// What the API server told of our objects.
    pub(super) caches: Caches,
    /// Also in the other scopes.
    pub(super) everywhere: Everywhere,
    pub(super) settled: Settled,
    pub(super) told: Told,
    pub(super) limits: Limits,
    pub(super) turns: Turns,
    pub(super) pods: PodClient,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    /// For all scopes.
    pub(super) events: Arc<Events>,
    pub(super) metrics: Metrics,
    /// Writes of a status in which only numbers are new.
    pub(super) number_writes: Arc<Budget>,
    /// Failures in a row, by uid; success clears one, and [`MOST_FAILING`] bounds them.
    pub(super) failures: Mutex<HashMap<String, u32>>,
    /// Whether this is the process that writes.
    pub(super) leadership: Leadership,
}

impl Context {
    fn sources(&self) -> Sources<'_> {
        Sources {
            client: &self.client,
            caches: &self.caches,
            settled: &self.settled,
            pods: &self.pods,
            clock: &self.clock,
        }
    }
}

/// More pipelines than this are not remembered as failing: they start over with the shortest wait.
const MOST_FAILING: usize = 4096;

type Guarded = DeserializeGuard<CioPipeline>;

/// The steps, around which failures are counted and measured.
pub(super) async fn reconcile(
    guarded: Arc<Guarded>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    if !context.leadership.holds() {
        // Whoever takes the lease looks at every pipeline.
        return Ok(Action::await_change());
    }
    let started = Instant::now();
    let uid = guarded.meta().uid.clone().unwrap_or_default();
    let _turn = match context.turns.take(&uid, guarded.meta().generation) {
        Ok(turn) => turn,
        Err(wait) => return Ok(Action::requeue(wait)),
    };
    let _in_flight = context.metrics.begin(&uid);
    let done = tokio::time::timeout(TIME_LIMIT, Box::pin(steps(&guarded, &context))).await;
    let outcome = done.unwrap_or_else(|_| Err(Error::TakeTooLong(TIME_LIMIT)));
    let result = match &outcome {
        Ok(result) => result.label(),
        Err(error) => error.category(),
    };
    context.metrics.reconciled(result, started.elapsed());
    outcome.map(|reconciled| {
        forget_failures(&context, &guarded);
        let pipelines = context.everywhere.pipelines();
        let resync = resync(started.elapsed(), pipelines);
        let after = reconciled.comes_back(resync).map(scattered);
        context.metrics.next(uid, after);
        after.map_or_else(Action::await_change, Action::requeue)
    })
}

/// Pure: when a pipeline of so many is looked at again after a look that took so long.
fn resync(took: Duration, pipelines: usize) -> Duration {
    let pipelines = u32::try_from(pipelines).unwrap_or(u32::MAX);
    RESYNC
        .max(RESYNC_EACH.saturating_mul(pipelines))
        .max(took.saturating_mul(RESYNC_TOOK))
        .min(RESYNC_MOST)
}

/// Up to a quarter later. Pipelines that were made together would be looked at together for ever: all of
/// them at once, and nobody in between. What a bounded number of writes a second leaves over would find
/// no room at the next look either.
fn scattered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(1.0..=1.25))
}

/// What a reconcile came to.
#[derive(Debug, Clone, Copy)]
enum Reconciled {
    Applied,
    Refused,
    /// It is the operator that may not.
    Forbidden,
    Leaving,
}

impl Reconciled {
    fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Forbidden { .. } => Self::Forbidden,
            Refusal::InvalidSpec(_) | Refusal::NameTaken { .. } | Refusal::Apply { .. } => {
                Self::Refused
            }
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Applied => "ok",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Leaving => "deleted",
        }
    }

    /// After how long it is looked at again, whatever happens.
    fn comes_back(self, resync: Duration) -> Option<Duration> {
        match self {
            Self::Applied => Some(resync),
            Self::Refused | Self::Forbidden => Some(resync.max(RESYNC_REFUSED)),
            Self::Leaving => None,
        }
    }
}

async fn steps(guarded: &Guarded, context: &Context) -> Result<Reconciled, Error> {
    let pipeline = match &guarded.0 {
        Ok(pipeline) => pipeline,
        Err(invalid) => return Err(unreadable(context, invalid).await),
    };
    if pipeline.meta().deletion_timestamp.is_some() {
        // Everything has an owner reference: the garbage collector does the rest.
        return Ok(Reconciled::Leaving);
    }
    let now = context.clock.now();
    let before = context.told.newest(pipeline);
    let generation = pipeline.meta().generation;

    // 1 dereference (reads)
    let mut observed = dereference(context.sources(), pipeline).await?;
    observed.depth = observed
        .depth
        .map(|reading| context.limits.fill(pipeline, reading));
    // 2 validate (pure)
    let validated = match owned(pipeline, &observed)? {
        Ok(()) => validate(pipeline, &context.settings),
        Err(refusal) => Err(refusal),
    };
    let applied = match &validated {
        // 3 build (pure), 4 apply (writes)
        Ok(validated) => {
            let objects = build(validated);
            let applied = Box::pin(apply(&context.client, validated, &observed, objects)).await;
            applied
                .map(|applied| Ok((validated, applied)))
                .or_else(refused)?
        }
        Err(refusal) => Err(refusal.clone()),
    };
    if applied.is_ok() {
        context.settled.settle(pipeline);
    }
    // 5 status (pure)
    let (reconciled, after) = match &applied {
        Ok((validated, applied)) => (
            Reconciled::Applied,
            status::compute(&before, generation, validated, &observed, applied, now),
        ),
        Err(refusal) => (
            Reconciled::of(refusal),
            status::refused(&before, generation, refusal, now),
        ),
    };
    // 6 update status (writes)
    update_status(context, pipeline, &before, &after).await?;
    Ok(reconciled)
}

/// Says in the status what keeps the resource from being read; the error is for the log.
async fn unreadable(context: &Context, invalid: &InvalidObject) -> Error {
    let metadata = &invalid.metadata;
    let why: String = invalid.error.chars().take(MOST_CHARACTERS).collect();
    let refusal = Refusal::InvalidSpec(format!(
        "this version of the operator cannot read the resource: {why}; apply it anew, or bring \
         operator and CRD to the same version"
    ));
    // Its old status cannot be read either. The same words must be the same write, which changes
    // nothing: so the time is one that does not move.
    let since = metadata.creation_timestamp.as_ref();
    let since = since.map_or(context.clock.now(), |time| time.0);
    let before = CioPipelineStatus::default();
    let after = status::refused(&before, metadata.generation, &refusal, since);
    if let Err(error) = status::write(&context.client, metadata, &after).await {
        return error;
    }
    Error::ReadResource(invalid.error.clone())
}

/// An error that only the user can mend is a refusal; any other stays an error.
fn refused<T>(error: Error) -> Result<Result<T, Refusal>, Error> {
    error.refusal().map(Err).ok_or(error)
}

async fn update_status(
    context: &Context,
    pipeline: &CioPipeline,
    before: &CioPipelineStatus,
    after: &CioPipelineStatus,
) -> Result<(), Error> {
    match status::worth_writing(before, after) {
        News::None => return Ok(()),
        // It is said at the next look.
        News::Numbers if !context.number_writes.take(Instant::now()) => return Ok(()),
        News::Numbers | News::Picture => {}
    }
    status::write(&context.client, pipeline.meta(), after).await?;
    context.told.wrote(pipeline, after);
    if let Some(ready) = status::changed_ready(before, after) {
        tracing::info!(
            k8s.namespace = pipeline.namespace(),
            k8s.name = pipeline.name_any(),
            ready = ready.status,
            reason = ready.reason,
            "pipeline changed"
        );
        context.events.publish(pipeline, ready).await;
    }
    Ok(())
}

/// Pure: every object of our name that exists is ours. What a deleted pipeline of the same name
/// left is the garbage collector's, and gone soon.
fn owned(pipeline: &CioPipeline, observed: &Observed) -> Result<Result<(), Refusal>, Error> {
    let uid = pipeline.uid().unwrap_or_default();
    for (kind, owners) in observed.owners(pipeline.spec.monitoring.pod_monitor) {
        let Some(owners) = owners else { continue };
        if owners.iter().any(|owner| owner.uid == uid) {
            continue;
        }
        let predecessor = owners
            .iter()
            .any(|owner| owner.kind == "CioPipeline" && owner.name == pipeline.name_any());
        if predecessor {
            return Err(Error::AwaitCollection(kind));
        }
        let name = format!("{}-worker", pipeline.name_any());
        return Ok(Err(Refusal::NameTaken { kind, name }));
    }
    Ok(Ok(()))
}

/// What to do after an error; the one place where it is logged.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the controller's"
)]
pub(super) fn on_error(guarded: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let uid = guarded.meta().uid.clone().unwrap_or_default();
    let mut failures = context
        .failures
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if failures.len() > MOST_FAILING {
        // Pipelines that were deleted while they failed are never heard of again.
        failures.clear();
    }
    let count = failures
        .entry(uid)
        .and_modify(|count| *count += 1)
        .or_insert(1);
    tracing::warn!(
        k8s.namespace = guarded.meta().namespace,
        k8s.name = guarded.meta().name,
        error = %error,
        error.category = error.category(),
        failures = *count,
        "reconcile failed"
    );
    error.action(*count)
}

fn forget_failures(context: &Context, guarded: &Guarded) {
    if let Some(uid) = &guarded.meta().uid {
        context
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }
}

#[cfg(test)]
mod tests;
