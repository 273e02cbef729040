//! What happens when a part goes away and comes back.

use std::thread::sleep;
use std::time::Duration;

use super::support::{SOON, Stage, kill_container, operator_alone, system};

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn while_redis_is_down_the_pods_stay_and_afterwards_it_goes_on_by_itself() {
    let stage = Stage::new("redis-outage", &[]);
    // Without a stabilization window a depth of 0 would bring 2 pods within seconds.
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 5}}
  delivery: {mode: Single}
  autoscaling:
    behavior: {scaleUp: {stabilizationWindowSeconds: 0}, scaleDown: {stabilizationWindowSeconds: 0}}
",
    );
    stage.wait_ready();
    stage.produce(2000);
    stage.wait("4 pods for 2,000 jobs", SOON, || stage.replicas() == 4);
    freeze(&stage);
    for second in 0..60 {
        assert_eq!(stage.replicas(), 4, "after {second} s without Redis");
        sleep(Duration::from_secs(1));
    }
    let (status, reason, message) = stage.condition("MetricsAvailable");
    assert_eq!(status, "False", "{reason}: {message}");
    assert!(
        ["DepthUnknown", "StaleReading"].contains(&reason.as_str()),
        "{reason}"
    );
    thaw(&stage);
    stage.wait("the depth is known again", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    let done = stage.finished("completed");
    stage.wait("delivery goes on", SOON, || {
        stage.finished("completed") > done
    });
    assert_eq!(stage.finished("failed"), 0);
}

/// Takes Redis away for as long as the test likes: nothing leads to it any more, and the
/// connections that are open end with its process. The container starts again on the same volume.
fn freeze(stage: &Stage) {
    let nobody = r#"{"spec":{"selector":{"app":"nobody"}}}"#;
    stage.kubectl(&["patch", "service", "redis", "-p", nobody]);
    // The exec ends with the container, which is no success to kubectl.
    stage.try_kubectl(
        &["exec", "deployment/redis", "--", "redis-cli", "shutdown"],
        None,
    );
}

fn thaw(stage: &Stage) {
    stage.kubectl(&[
        "patch",
        "service",
        "redis",
        "-p",
        r#"{"spec":{"selector":{"app":"redis"}}}"#,
    ]);
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_worker_killed_in_the_middle_loses_no_job() {
    let stage = Stage::new("kill", &["--latency", "500"]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 40}}
  delivery: {mode: Single}
  autoscaling: {maxReplicas: 2}
",
    );
    stage.wait_ready();
    stage.produce(1200);
    stage.wait("some jobs are done", SOON, || {
        stage.finished("completed") > 50
    });
    kill_container(&stage.pods()[0]);
    stage.wait("every job is delivered", Duration::from_mins(4), || {
        stage.finished("completed") == 1200
    });
    assert_eq!(stage.finished("failed"), 0);
    // Jobs that the dead worker held were found stalled and run again by another.
    let script = "local n = 0 for _, id in ipairs(redis.call('zrange', KEYS[1], 0, -1)) do \
        if redis.call('hget', ARGV[1] .. id, 'stc') then n = n + 1 end end return n";
    let stalled = stage.redis(&[
        "eval",
        script,
        "1",
        "bull:cio-events:completed",
        "bull:cio-events:",
    ]);
    assert!(
        stalled.parse::<u64>().expect("a number") > 0,
        "no job was found stalled"
    );
    let seen = stage.simulator("state");
    assert_eq!(seen["events"], 600, "each event counts once: {seen}");
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn an_operator_restart_moves_nothing() {
    let stage = Stage::new("operator-restart", &[]);
    let _alone = operator_alone();
    stage
        .pipeline("  workspace: {endpoint: 'http://simulator'}\n  autoscaling: {minReplicas: 3}\n");
    stage.wait_ready();
    let picture = || {
        let deployment = stage.get("deployment", "events-worker");
        let mut pods: Vec<String> = stage
            .pods()
            .iter()
            .map(|pod| pod["metadata"]["uid"].as_str().expect("a uid").to_owned())
            .collect();
        pods.sort();
        (
            deployment["metadata"]["generation"].clone(),
            deployment["spec"]["replicas"].clone(),
            pods,
        )
    };
    stage.wait("3 pods", SOON, || stage.pods().len() == 3);
    let before = picture();
    system(&["rollout", "restart", "deployment/cio-cio-operator-operator"]);
    system(&["rollout", "status", "deployment/cio-cio-operator-operator"]);
    // Time for a reconcile of everything.
    sleep(Duration::from_secs(15));
    assert_eq!(picture(), before);
}
