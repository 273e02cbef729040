//! `RateLimited`: does the workspace's limit bound the drain, and not the number of pods?

use super::{Finding, Situation};
use crate::adapter::limit::Limit;
use crate::api::{CioPipelineSpec, DeliveryMode, WhenSaturated};
use crate::plan::capacity::Pace;

/// The condition's type.
pub(in crate::operator) const RATE_LIMITED: &str = "RateLimited";
/// Once True it stays so until less of the limit than this is used.
const STILL_USED_UP: f64 = 0.8;
/// Less of the spec's rate than this is a lowered limit, and no rounding.
const LOWERED: f64 = 0.97;
/// The payload that a batch is reckoned with; the sidecar does not know it.
const PAYLOAD_BYTES: u64 = 500;

/// True while more pods could do nothing, with what could.
pub(super) fn rate_limited(situation: &Situation<'_>) -> Finding {
    let unknown =
        |reason: &str, message: String| Finding::new(RATE_LIMITED, "Unknown", reason, message);
    let fine = |reason: &str, message: String| Finding::new(RATE_LIMITED, "False", reason, message);
    let spec = situation.spec;
    if spec.workspace.rate_limit.requests_per_second == 0 {
        let message = "spec.workspace.rateLimit.requestsPerSecond is 0: there is no limit";
        return fine("NoLimit", message.to_owned());
    }
    let reading = match situation.depth {
        Ok(reading) => reading,
        Err(unknown_depth) => return unknown(unknown_depth.reason(), unknown_depth.to_string()),
    };
    let Some(limit) = reading.limit else {
        return unknown("LimitUnknown", why_unknown(spec).to_owned());
    };
    if limit.circuit_open {
        let message = "nothing is sent: the condition Delivering says why";
        return fine("CircuitOpen", message.to_owned());
    }
    if bounds_the_drain(situation, reading.depth, &limit) {
        let reason = reason(spec, &limit);
        let message = message(spec, reading.depth, &limit);
        return Finding::new(RATE_LIMITED, "True", reason, message);
    }
    let limit = limit.requests_per_second;
    fine(
        "LimitNotReached",
        format!("the limit of {limit:.0} requests/s is not what bounds the drain"),
    )
}

fn why_unknown(spec: &CioPipelineSpec) -> &'static str {
    if spec.worker.image.is_empty() {
        "no sidecar knows yet how much of the limit is used; if this stays, the log of the container \
         `metrics` says why it cannot be read"
    } else {
        "workers of another image do not share the limit: how much of it is used is not known"
    }
}

/// A backlog of more than a pod's share, and a limit that is used up. It turns back later than it
/// turned, so that it does not flap.
fn bounds_the_drain(situation: &Situation<'_>, depth: u64, limit: &Limit) -> bool {
    let was = situation
        .was(RATE_LIMITED)
        .is_some_and(|before| before.status == "True");
    let share = u64::from(situation.spec.autoscaling.queue_depth.unsigned_abs());
    if was {
        limit.used_ratio >= STILL_USED_UP && depth > share / 2
    } else {
        limit.is_used_up() && depth > share
    }
}

fn reason(spec: &CioPipelineSpec, limit: &Limit) -> &'static str {
    let set = f64::from(spec.workspace.rate_limit.requests_per_second);
    if limit.requests_per_second < set * LOWERED {
        "LimitLowered"
    } else {
        "LimitReached"
    }
}

fn message(spec: &CioPipelineSpec, depth: u64, limit: &Limit) -> String {
    let rate = limit.requests_per_second;
    let used = limit.used_ratio * rate;
    let set = spec.workspace.rate_limit.requests_per_second;
    let lowered = match reason(spec, limit) {
        "LimitLowered" => format!(
            " ({set} is set; it is lowered after answers 429, or another pipeline of the workspace \
             is set lower)"
        ),
        _ => String::new(),
    };
    let pace = Pace::of(spec);
    let jobs_per_second = rate * float(pace.events_per_request(PAYLOAD_BYTES));
    let drain = duration(float(depth) / jobs_per_second.max(f64::MIN_POSITIVE));
    let about = match spec.delivery.mode {
        DeliveryMode::Single => "take",
        DeliveryMode::Batch => "take, with full batches, about",
    };
    format!(
        "the workspace's limit bounds the drain, not the number of pods: {used:.0} of {rate:.0} \
         requests/s are used{lowered}; {depth} jobs {about} {drain} at the limit; more pods cannot \
         help; {}",
        remedy(spec)
    )
}

/// What would help, in the order of its cost.
fn remedy(spec: &CioPipelineSpec) -> String {
    let mut remedies = Vec::new();
    if spec.delivery.mode == DeliveryMode::Single {
        let mut batch = Pace::of(spec);
        batch.mode = DeliveryMode::Batch;
        let events = batch.events_per_request(PAYLOAD_BYTES);
        remedies.push(format!(
            "spec.delivery.mode Batch (up to {events} events a request)"
        ));
    }
    remedies.push("a higher limit, if Customer.io grants one".to_owned());
    remedies.push("a part of the users in a workspace of its own".to_owned());
    let mut text = format!("what would: {}", remedies.join(", or "));
    if spec.autoscaling.when_saturated == WhenSaturated::Scale {
        text.push_str("; spec.autoscaling.whenSaturated Hold saves the pods meanwhile");
    }
    text
}

/// Seconds for a person.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{:.0} s", s.max(1.0)),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a person; exact below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
