//! The workspace's limit holds over all pods.

use std::thread::sleep;
use std::time::Duration;

use super::support::Stage;

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
    stage.produce(5000);
    stage.wait("the first request", Duration::from_secs(30), || {
        stage.simulator("state")["requests"].as_u64() > Some(0)
    });
    sleep(Duration::from_mins(1));
    let seen = stage.simulator("state");
    let most = seen["max_requests_in_any_second"]
        .as_u64()
        .expect("a number");
    assert!(most <= 80, "{most} requests in one second");
    let requests = seen["requests"].as_u64().expect("a number");
    println!("{requests} requests in about 60 s from three pods, at most {most} in one second");
    assert!(requests > 60 * 70, "only {requests} requests in 60 s");
    assert_eq!(stage.pods().len(), 3);
}
