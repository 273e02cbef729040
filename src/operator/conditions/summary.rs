//! `Ready`, `Reconciling`, `Stalled`, `Degraded`: the picture in four words.

use super::delivering::CREDENTIALS_REFUSED;
use super::obstacle::{Cause, Obstacle};
use super::pods::STUCK;
use super::{Finding, Situation};

/// Not enough pods are ready.
pub(in crate::operator) const UNAVAILABLE: &str = "MinimumReplicasUnavailable";
/// The type of the condition that says whether something is wrong.
pub(in crate::operator) const DEGRADED: &str = "Degraded";
const AS_EXPECTED: &str = "AsExpected";

/// What the summary is made from.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) available: Finding,
    pub(super) progressing: Finding,
    /// Pods of an older template are there still.
    pub(super) rolling: bool,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) metrics: Finding,
    pub(super) delivering: Finding,
}

/// The four, `Ready` first.
pub(super) fn summary(situation: &Situation<'_>, parts: &Parts) -> Vec<Finding> {
    let ready = ready(parts);
    let stalled = stalled(parts, &ready);
    let reconciling = reconciling(&ready, &stalled);
    let degraded = degraded(situation, parts, &ready);
    vec![ready, reconciling, stalled, degraded]
}

/// What keeps jobs from being delivered, the most telling first. Unknown while a rollout is under
/// way: the old pods deliver, and whether the new ones do is not known.
fn ready(parts: &Parts) -> Finding {
    if let Some(obstacle) = parts.obstacle.as_ref().filter(|it| blocks(it, parts)) {
        return Finding::new("Ready", "False", obstacle.reason(), obstacle.message());
    }
    // Only the user can mend it. While Customer.io does not answer there is nothing to mend here:
    // `Delivering` says so.
    let telling = [
        (
            &parts.delivering,
            parts.delivering.reason == CREDENTIALS_REFUSED,
        ),
        (&parts.progressing, parts.progressing.reason == STUCK),
        (&parts.available, parts.available.status != "True"),
    ];
    if let Some((found, _)) = telling.into_iter().find(|(_, holds)| *holds) {
        return Finding::new(
            "Ready",
            "False",
            found.reason.clone(),
            found.message.clone(),
        );
    }
    if parts.rolling {
        let message = format!("{}; {}", parts.available.message, parts.progressing.message);
        return Finding::new("Ready", "Unknown", "RollingOut", message);
    }
    let message = parts.available.message.clone();
    Finding::new("Ready", "True", "PodsReady", message)
}

/// Whether an obstacle keeps the pipeline from being what the spec says. A rollout waits for pods
/// that a quota has no room for; pods that only the HPA asked for are not missing.
fn blocks(obstacle: &Obstacle, parts: &Parts) -> bool {
    let unavailable = parts.available.status != "True";
    match obstacle.cause {
        cause if cause.is_certain() => true,
        Cause::Unschedulable => unavailable,
        Cause::Unready => false,
        _ => unavailable || parts.rolling,
    }
}

/// `Stalled`: nothing goes on until somebody acts. A Secret that is missing may be on its way.
fn stalled(parts: &Parts, ready: &Finding) -> Finding {
    let stuck = ready.status == "False" && parts.progressing.reason == STUCK;
    if stuck || ready.reason == CREDENTIALS_REFUSED {
        let (reason, message) = (ready.reason.clone(), ready.message.clone());
        return Finding::new("Stalled", "True", reason, message);
    }
    let message = "nobody has to do anything for it to go on";
    Finding::new("Stalled", "False", AS_EXPECTED, message)
}

/// `Reconciling`: on the way to what the spec says.
fn reconciling(ready: &Finding, stalled: &Finding) -> Finding {
    if ready.status != "True" && stalled.status != "True" {
        let (reason, message) = (ready.reason.clone(), ready.message.clone());
        return Finding::new("Reconciling", "True", reason, message);
    }
    let (reason, message) = match stalled.status {
        "True" => (stalled.reason.clone(), "it waits to be put right"),
        _ => (AS_EXPECTED.to_owned(), "everything is as the spec says"),
    };
    Finding::new("Reconciling", "False", reason, message)
}

/// Enough pods were ready until some were lost.
pub(super) fn was_available(situation: &Situation<'_>) -> bool {
    let available = situation.was("Available");
    let degraded = situation.was(DEGRADED);
    available.is_some_and(|before| before.status == "True")
        || degraded.is_some_and(|before| before.status == "True" && before.reason == UNAVAILABLE)
}

/// `Degraded`: something is wrong that a person should look at, whether jobs are delivered or not.
/// Pods that start for the first time are not.
fn degraded(situation: &Situation<'_>, parts: &Parts, ready: &Finding) -> Finding {
    let fell = ready.reason == UNAVAILABLE && was_available(situation);
    let starting = ready.reason == UNAVAILABLE && !fell;
    let known = ready.status == "False" && ready.reason != UNAVAILABLE;
    let told = |cause: &Finding| (cause.reason.clone(), cause.message.clone());
    // Enough pods run, and the HPA asked for more. Nodes may be on their way.
    let obstacle = parts
        .obstacle
        .as_ref()
        .filter(|it| !it.cause.is_transient());
    let metrics = parts.metrics.status == "False" && !starting;
    let cause = (known || fell)
        .then(|| told(ready))
        .or_else(|| metrics.then(|| told(&parts.metrics)))
        .or_else(|| obstacle.map(|it| (it.reason().to_owned(), it.message())))
        // Last: an outage comes and goes, and must hide nothing that stays.
        .or_else(|| (parts.delivering.status == "False").then(|| told(&parts.delivering)));
    match cause {
        Some((reason, message)) => Finding::new(DEGRADED, "True", reason, message),
        None => Finding::new(DEGRADED, "False", AS_EXPECTED, "nothing is wrong"),
    }
}
