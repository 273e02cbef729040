//! How many pods each metric asks for.

use super::{Autoscaler, Reading};

/// The largest proposal; `None` where pods stay as they are because too little is known.
pub(super) fn largest(hpa: &Autoscaler, current: i32, reading: Reading) -> Option<i32> {
    let proposals = [cpu(hpa, current, reading), depth(hpa, current, reading)];
    let largest = proposals.iter().flatten().copied().max()?;
    let all_known = proposals.iter().all(Option::is_some);
    // With one metric unknown pods may be added, never removed.
    (all_known || largest >= current).then_some(largest)
}

fn cpu(hpa: &Autoscaler, current: i32, reading: Reading) -> Option<i32> {
    let percent = reading.cpu_percent?;
    per_pod(hpa, current, reading, percent, hpa.cpu_utilization)
}

fn depth(hpa: &Autoscaler, current: i32, reading: Reading) -> Option<i32> {
    // The controller works in thousandths, and so does the share that the adapter rounds down.
    let (total, target) = (reading.depth?.saturating_mul(1000), hpa.queue_depth * 1000);
    if hpa.external {
        let inside = within_tolerance(hpa, ratio(total, target * i64::from(current)));
        let wanted = round_up(ratio(total, target));
        return Some(if inside { current } else { wanted });
    }
    let share = total.checked_div(i64::from(reading.running))?;
    per_pod(hpa, current, reading, share, target)
}

/// Every running pod reports `each`; pods that do not run yet count as 0 when that would add pods.
fn per_pod(
    hpa: &Autoscaler,
    current: i32,
    reading: Reading,
    each: i64,
    target: i64,
) -> Option<i32> {
    if reading.running == 0 {
        return None;
    }
    let first = ratio(each, target);
    if reading.pending == 0 || first <= 1.0 {
        let wanted = round_up(first * f64::from(reading.running));
        let keep = within_tolerance(hpa, first);
        return Some(if keep { current } else { wanted });
    }
    let pods = reading.running + reading.pending;
    let average = each.saturating_mul(reading.running.into()) / i64::from(pods);
    let second = ratio(average, target);
    let wanted = round_up(second * f64::from(pods));
    let keep = within_tolerance(hpa, second) || second < 1.0 || wanted < current;
    Some(if keep { current } else { wanted })
}

fn within_tolerance(hpa: &Autoscaler, ratio: f64) -> bool {
    (1.0 - hpa.down.tolerance..=1.0 + hpa.up.tolerance).contains(&ratio)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "as the controller does; a queue has far fewer than 2^53 thousandths of jobs"
)]
fn ratio(value: i64, target: i64) -> f64 {
    value as f64 / target as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of pods; what is more than an i32 becomes its maximum"
)]
fn round_up(pods: f64) -> i32 {
    pods.ceil() as i32
}
