//! Which faults there are for the next few seconds.
//!
//! Not among them: `drop` (a 200 for what was not stored: nobody who was told "taken" could know),
//! and the statuses that say of a good job that it is bad (400, 413, a 207 by fault): those who
//! believe Customer.io put it into the failed set. Real 207 and 400 come from the producer's bad jobs.

use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// A few faults, each for a part of the requests; now and then one for all of them.
pub(super) fn draw(random: &mut StdRng) -> Value {
    let count = random.random_range(0..=4);
    let outage = random.random_bool(0.2);
    let mut rules: Vec<Value> = (0..count).map(|_| partial(random)).collect();
    if outage {
        let status = *pick(random, &[401, 403, 429, 500, 503, 307]);
        rules.push(json!({ "status": status }));
    }
    json!(rules)
}

/// Shares are such that a job is all but sure to get through within its attempts.
fn partial(random: &mut StdRng) -> Value {
    let percent = random.random_range(2..20);
    let mut rule = match random.random_range(0..11) {
        0 => json!({"status": 429}),
        1 => json!({"status": 429, "retry_after_seconds": random.random_range(0..3)}),
        2 => json!({"status": *pick(random, &[500, 502, 503, 504]), "latency_ms": 100}),
        3 => json!({"status": 503, "retry_after_seconds": 1}),
        4 => json!({"status": 408}),
        5 => json!({"latency_ms": random.random_range(50..3_000)}),
        6 => json!({"fault": "hang", "times": 2}),
        7 => json!({"fault": "reset_before"}),
        8 => json!({"fault": "reset_after"}),
        9 => json!({"status": 307, "location": "http://127.0.0.1:9"}),
        _ => json!({"status": *pick(random, &[401, 403]), "times": 3}),
    };
    rule["share"] = json!(f64::from(percent) / 100.0);
    rule
}

fn pick<'a, T>(random: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}
