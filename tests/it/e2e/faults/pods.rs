//! Pods that cannot start, and pods that are gone.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use super::super::support::{SOON, Stage};

const SPEC: &str = "  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 20}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 2, maxReplicas: 2}
";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn an_image_that_is_missing_is_named_while_the_old_pods_deliver() {
    let stage = Stage::new("image", &[]);
    stage.pipeline(SPEC);
    stage.wait_ready();
    let image = |image: &str| {
        stage.pipeline(&format!("{SPEC}  worker: {{image: '{image}'}}\n"));
    };
    image("nowhere.invalid/worker:none");
    stage.wait("Ready=False, ImageUnavailable", SOON, || {
        stage.condition("Ready").1 == "ImageUnavailable"
    });
    let (status, _, message) = stage.condition("Ready");
    println!("Ready=False, ImageUnavailable: {message}");
    assert_eq!(status, "False");
    let words = [
        "the container worker of the pod events-worker-",
        "nowhere.invalid/worker:none",
    ];
    for word in words.iter().chain(&["correct the image's name"]) {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(stage.condition("Available").0, "True");
    assert_eq!(stage.condition("Degraded").1, "ImageUnavailable");
    let (progressing, _, why) = stage.condition("Progressing");
    assert_eq!(progressing, "True");
    assert!(why.contains("nowhere.invalid"), "{why}");
    stage.produce(100);
    stage.wait("the old pods deliver", SOON, || {
        stage.finished("completed") == 100
    });
    stage.pipeline(SPEC);
    stage.wait_ready();
    assert_eq!(stage.condition("Degraded").0, "False");
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_quota_that_is_exceeded_is_named_and_once_it_is_raised_it_goes_on() {
    let stage = Stage::new("quota", &[]);
    // Redis and the simulator are two.
    let quota = ["create", "quota", "few", "--hard=pods=3"];
    stage.kubectl(&quota);
    stage.pipeline(SPEC);
    stage.wait("Ready=False, QuotaExceeded", SOON, || {
        stage.condition("Ready").1 == "QuotaExceeded"
    });
    let (status, _, message) = stage.condition("Ready");
    println!("Ready=False, QuotaExceeded: {message}");
    assert_eq!(status, "False");
    for word in ["exceeded quota: few", "raise the ResourceQuota"] {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(stage.condition("Degraded").1, "QuotaExceeded");
    // Each try of the ReplicaSet names another pod: the status does not follow.
    let version = || stage.get("ciopipeline", "events")["metadata"]["resourceVersion"].clone();
    stage.wait("the one pod that there is room for is asked", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    sleep(Duration::from_secs(5));
    let before = version();
    sleep(Duration::from_secs(15));
    assert_eq!(version(), before, "written though nothing changed");
    let raised = r#"{"spec":{"hard":{"pods":"10"}}}"#;
    stage.kubectl(&["patch", "quota", "few", "-p", raised]);
    // The ReplicaSet's waits have doubled meanwhile.
    stage.wait("the pipeline is ready", 2 * SOON, || {
        stage.condition("Ready").0 == "True"
    });
    stage.wait("nothing is wrong", SOON, || {
        stage.condition("Degraded").0 == "False"
    });
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn pods_deleted_by_force_as_of_a_node_that_is_gone_lose_no_job() {
    let stage = Stage::new("node-gone", &[]);
    stage.pipeline(SPEC);
    stage.wait_ready();
    stage.wait("2 pods", SOON, || stage.pods().len() == 2);
    stage.produce(1000);
    stage.wait("some jobs are done", SOON, || {
        stage.finished("completed") > 20
    });
    let names = || -> BTreeSet<String> {
        let pods = stage.pods();
        let name = |pod: &serde_json::Value| pod["metadata"]["name"].as_str().map(str::to_owned);
        pods.iter().filter_map(name).collect()
    };
    let before = names();
    let force = [
        "delete",
        "pods",
        "-l",
        "cio.dev/pipeline=events",
        "--force",
        "--grace-period=0",
    ];
    stage.kubectl(&force);
    stage.wait("the pipeline says that pods were lost", SOON, || {
        stage.condition("Available").0 == "False" && stage.condition("Degraded").0 == "True"
    });
    println!("Ready: {:?}", stage.condition("Ready"));
    stage.wait_ready();
    assert!(names().is_disjoint(&before), "{before:?} → {:?}", names());
    stage.wait("every job is delivered", SOON, || {
        stage.finished("completed") == 1000
    });
    assert_eq!(stage.finished("failed"), 0);
    let seen = stage.simulator("state");
    assert_eq!(seen["events"], 500, "each event counts once: {seen}");
    assert_eq!(stage.condition("Degraded").0, "False");
}
