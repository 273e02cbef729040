//! The HPA scales on the queue's depth: neither too few pods nor the maximum.

use std::thread::sleep;
use std::time::Duration;

use super::support::Stage;

/// Every pod can start at once, and the windows are short.
pub(super) const QUICK: &str = "
    behavior:
      scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 4, periodSeconds: 15}]}
      scaleDown: {stabilizationWindowSeconds: 15, policies: [{type: Pods, value: 4, periodSeconds: 15}]}
";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_standing_backlog_of_2000_settles_at_4_pods_not_20() {
    let stage = Stage::new("backlog", &[]);
    // The guide's own windows: what is tested is where it settles.
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 1}}
  delivery: {mode: Single}
",
    );
    stage.wait_ready();
    assert_eq!(stage.replicas(), 2);
    stage.produce(2000);
    let mut most = 0;
    stage.wait(
        "4 pods for a standing backlog of 2,000",
        Duration::from_mins(3),
        || {
            most = most.max(stage.replicas());
            stage.replicas() == 4
        },
    );
    // Two more scale-up periods: time enough for a wrong metric to run away.
    for _ in 0..75 {
        most = most.max(stage.replicas());
        sleep(Duration::from_secs(1));
    }
    assert_eq!((most, stage.replicas()), (4, 4));
    let depth = stage.get("ciopipeline", "events")["status"]["queueDepth"].as_i64();
    // Written when it doubled or halved: what stands there is within a factor of 2.
    assert!(
        depth.is_some_and(|depth| (900..=2000).contains(&depth)),
        "{depth:?}"
    );
    assert_eq!(stage.condition("MetricsAvailable").0, "True");
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_backlog_is_drained_by_more_pods_and_then_by_fewer() {
    let stage = Stage::new("drain", &["--latency", "250"]);
    stage.pipeline(&format!(
        "  workspace: {{endpoint: 'http://simulator', rateLimit: {{requestsPerSecond: 400}}}}
  delivery: {{mode: Single}}
  autoscaling:
    maxReplicas: 6{QUICK}"
    ));
    stage.wait_ready();
    stage.produce(6000);
    stage.wait("more than 2 pods", Duration::from_secs(90), || {
        stage.replicas() > 2
    });
    stage.wait("every job is completed", Duration::from_mins(4), || {
        let (ready, reason, message) = stage.condition("Ready");
        assert_eq!(
            ready, "True",
            "pods that are added are no trouble: {reason}: {message}"
        );
        stage.finished("completed") == 6000
    });
    let seen = stage.simulator("state");
    assert_eq!(seen["people"], 100);
    assert_eq!(
        (&seen["events"], &seen["duplicates"]),
        (&3000.into(), &0.into()),
        "{seen}"
    );
    stage.wait("back to 2 pods", Duration::from_mins(3), || {
        stage.replicas() == 2
    });
}
