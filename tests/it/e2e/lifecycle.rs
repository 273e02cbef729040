//! A pipeline's life: changed, suspended, resumed, deleted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use super::support::{Ends, SOON, Stage};

const SPEC: &str = "  workspace: {endpoint: 'http://simulator'}\n";
/// 20 requests a second: the jobs last for longer than the pods are replaced.
const LOAD: &str = "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 20}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 2, maxReplicas: 2}
";
const JOBS: u32 = 1200;

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_changed_concurrency_rolls_the_pods_under_load_and_never_has_too_few() {
    let stage = Stage::new("rollout", &[]);
    stage.pipeline(LOAD);
    stage.wait_ready();
    stage.wait("2 ready pods", SOON, || ready_pods(&stage) == 2);
    stage.produce(JOBS);
    let rolled = AtomicBool::new(false);
    let fewest = scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut fewest = i64::MAX;
            while !rolled.load(Ordering::Relaxed) {
                fewest = fewest.min(ready_pods(&stage));
            }
            fewest
        });
        // Also when the wait fails: the scope ends only with the watcher.
        let ends = Ends(&rolled);
        stage.pipeline(&format!("{LOAD}  worker: {{concurrency: 3}}\n"));
        stage.wait("every pod has the new concurrency", SOON, || {
            let pods = stage.pods();
            pods.len() == 2
                && pods
                    .iter()
                    .all(|pod| concurrency(pod).as_deref() == Some("3"))
        });
        drop(ends);
        watcher.join().expect("the watcher ends")
    });
    assert!(fewest >= 2, "{fewest} ready pods during the rollout");
    stage.wait("ready again", SOON, || {
        let pipeline = stage.get("ciopipeline", "events");
        pipeline["status"]["observedGeneration"] == pipeline["metadata"]["generation"]
            && stage.condition("Ready").0 == "True"
    });
    stage.wait("every job is delivered", SOON, || {
        stage.finished("completed") == u64::from(JOBS)
    });
    assert_eq!(stage.finished("failed"), 0);
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn suspended_nothing_is_delivered_and_resumed_it_goes_on() {
    let stage = Stage::new("suspend", &[]);
    stage.pipeline(SPEC);
    stage.wait_ready();
    stage.patch(r#"{"spec":{"suspend":true}}"#);
    stage.wait("no pods and no HPA", SOON, || {
        stage.replicas() == 0
            && stage.pods().is_empty()
            && stage.get("hpa", "events-worker").is_null()
    });
    stage.produce(50);
    // Two resyncs: it stays that way.
    sleep(Duration::from_secs(20));
    assert_eq!(stage.redis(&["llen", "bull:cio-events:wait"]), "50");
    assert_eq!(stage.replicas(), 0);
    let (status, reason, _) = stage.condition("MetricsAvailable");
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "Suspended"));
    let depth = &stage.get("ciopipeline", "events")["status"]["queueDepth"];
    assert!(depth.is_null(), "unknown is not {depth}");
    stage.patch(r#"{"spec":{"suspend":false}}"#);
    stage.wait("everything is delivered", SOON, || {
        stage.finished("completed") == 50
    });
    assert_eq!(stage.replicas(), 2);
    assert!(!stage.get("hpa", "events-worker").is_null());
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_deleted_pipeline_leaves_the_queue_and_nothing_else() {
    let stage = Stage::new("delete", &[]);
    stage.pipeline(
        "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 1}}
  delivery: {mode: Single}
",
    );
    stage.wait_ready();
    stage.produce(200);
    stage.kubectl(&["delete", "ciopipeline", "events"]);
    let kinds = "deployment,replicaset,hpa,poddisruptionbudget,serviceaccount,pod";
    stage.wait("everything it created is gone", SOON, || {
        stage.list(kinds, "cio.dev/pipeline=events").is_empty()
    });
    let count = |list: &str| -> u64 {
        stage
            .redis(&["llen", &format!("bull:cio-events:{list}")])
            .parse()
            .expect("a number")
    };
    let left = count("wait") + count("active") + stage.finished("completed");
    assert_eq!(left, 200, "every job is still in the queue");
}

fn ready_pods(stage: &Stage) -> i64 {
    stage.get("deployment", "events-worker")["status"]["readyReplicas"]
        .as_i64()
        .unwrap_or(0)
}

fn concurrency(pod: &serde_json::Value) -> Option<String> {
    let env = pod["spec"]["containers"][0]["env"].as_array()?;
    let variable = env
        .iter()
        .find(|variable| variable["name"] == "CIO_CONCURRENCY")?;
    variable["value"].as_str().map(str::to_owned)
}
