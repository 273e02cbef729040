//! The workspace's limit holds over all pods.

use std::thread::sleep;
use std::time::Duration;

use super::support::{SOON, Stage};

/// A machine that stalls for a few hundredths of a second makes the simulator see late what was sent
/// in time. A limiter that lets too much through does so every time.
const TRIES: usize = 3;

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn three_pods_never_send_more_than_80_requests_in_any_second() {
    let stage = Stage::new("limit", &[]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 80}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 3, maxReplicas: 3}
",
    );
    stage.wait_ready();
    stage.wait("3 pods", SOON, || stage.pods().len() == 3);
    for left in (0..TRIES).rev() {
        let (requests, most) = one_minute(&stage);
        println!("{requests} requests in a minute from three pods, at most {most} in one second");
        if most <= 80 && requests > 60 * 70 {
            return;
        }
        assert!(
            left > 0,
            "{requests} requests in a minute, {most} in one second"
        );
    }
}

/// Requests in a minute under a backlog of 5,000 jobs, and the most in any span of one second.
fn one_minute(stage: &Stage) -> (u64, u64) {
    stage.forget_what_the_simulator_saw();
    stage.produce(5000);
    let seen = |what: &str| stage.simulator("state")[what].as_u64().expect("a number");
    stage.wait("the first request", SOON, || seen("requests") > 0);
    sleep(Duration::from_mins(1));
    (seen("requests"), seen("max_requests_in_any_second"))
}
