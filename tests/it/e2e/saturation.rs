//! The workspace's limit is used up: it is said, and pods that could do nothing are held back on
//! request.

use std::thread::sleep;
use std::time::Duration;

use super::support::{SOON, Stage};

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_pipeline_that_holds_adds_no_pods_while_the_limit_is_used_up_and_one_that_scales_does() {
    let stage = Stage::new("hold", &[]);
    // The guide's own windows: at the first moment of a backlog the limit is not used up yet.
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 10}}
  delivery: {mode: Single}
  autoscaling: {queueDepth: 100, maxReplicas: 6, cpuUtilization: 1000, whenSaturated: Hold}
",
    );
    stage.wait_ready();
    stage.wait("there is room", SOON, || {
        stage.condition("RateLimited").1 == "LimitNotReached"
    });
    stage.produce(3000);
    stage.wait("the limit bounds the drain", SOON, || {
        stage.condition("RateLimited").0 == "True"
    });
    let (_, reason, message) = stage.condition("RateLimited");
    assert_eq!(reason, "LimitReached");
    for words in ["of 10 requests/s", "jobs take", "spec.delivery.mode Batch"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    // Two of the scale-up's windows: time enough for pods that should not come.
    let mut most = 0;
    for _ in 0..130 {
        most = most.max(stage.replicas());
        sleep(Duration::from_secs(1));
    }
    assert_eq!(most, 2, "while it holds");
    assert_eq!(stage.condition("ScalingActive").0, "True");
    assert_eq!(stage.condition("Ready").0, "True");

    let scale = r#"{"spec":{"autoscaling":{"whenSaturated":"Scale"}}}"#;
    stage.patch(scale);
    stage.wait("more pods than 2", Duration::from_mins(3), || {
        stage.replicas() > 2
    });
    assert_eq!(stage.condition("RateLimited").0, "True");
}
