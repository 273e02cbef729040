//! The guide's worker, in an image of its own, under a `CioPipeline`: `examples/own-worker`.

use std::time::Duration;

use super::scaling::QUICK;
use super::support::{SOON, Stage};

/// More than two pods have in hand before the HPA looks.
const JOBS: u64 = 4000;

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn the_guides_worker_in_its_own_image_delivers_and_is_scaled() {
    let stage = Stage::new("own-worker", &["--latency", "250"]);
    stage.pipeline(&format!(
        "  workspace: {{endpoint: 'http://simulator', rateLimit: {{requestsPerSecond: 400}}}}
  worker: {{image: 'cio-own-worker:dev', resources: {{requests: {{memory: 128Mi}}, limits: {{memory: 256Mi}}}}}}
  autoscaling:
    maxReplicas: 6{QUICK}"
    ));
    stage.wait_ready();
    stage.produce(JOBS.try_into().expect("a small number"));
    stage.wait("more than 2 pods", Duration::from_secs(90), || {
        stage.replicas() > 2
    });
    stage.wait("MetricsAvailable", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    stage.wait("every job is completed", Duration::from_mins(4), || {
        stage.finished("completed") == JOBS
    });
    let seen = stage.simulator("state");
    assert_eq!(
        (&seen["people"], &seen["events"]),
        (&100.into(), &2000.into())
    );
    stage.wait("back to 2 pods", Duration::from_mins(3), || {
        stage.replicas() == 2
    });
    // SIGTERM ended the pods that went: a job that nobody finished would be stalled or lost.
    assert_eq!(
        (stage.finished("failed"), seen["events"].as_u64()),
        (0, Some(2000))
    );
    let images: Vec<_> = stage
        .pods()
        .iter()
        .map(|pod| pod["spec"]["containers"][0]["image"].clone())
        .collect();
    assert_eq!(images, ["cio-own-worker:dev", "cio-own-worker:dev"]);
}
