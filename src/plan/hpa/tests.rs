use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerBehavior;
use serde::Deserialize;

use super::*;

/// What `tests/hpa` recorded of the real controller.
const RECORDING: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/hpa/recording.json"
));

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scenario {
    name: String,
    min_replicas: i32,
    max_replicas: i32,
    cpu_utilization: i64,
    queue_depth: i64,
    external: bool,
    behavior: HorizontalPodAutoscalerBehavior,
    replicas: i32,
    pod_start_seconds: u64,
    readings: Vec<Read>,
    recorded: Vec<i32>,
}

#[derive(Deserialize)]
struct Read {
    depth: Option<i64>,
    cpu: Option<i64>,
}

impl Scenario {
    fn hpa(&self) -> Autoscaler {
        Autoscaler {
            min_replicas: self.min_replicas,
            max_replicas: self.max_replicas,
            cpu_utilization: self.cpu_utilization,
            queue_depth: self.queue_depth,
            external: self.external,
            up: Rules::up(self.behavior.scale_up.as_ref()),
            down: Rules::down(self.behavior.scale_down.as_ref()),
        }
    }

    /// The replicas after each sync, as the model has them.
    fn modelled(&self) -> Vec<i32> {
        let (hpa, mut state) = (self.hpa(), State::default());
        let mut current = self.replicas;
        // When each pod was asked for; those of the start have run for long.
        let mut pods: Vec<Option<Duration>> = vec![None; usize::try_from(current).unwrap()];
        let start = Duration::from_secs(self.pod_start_seconds);
        let syncs = (0_u32..).zip(&self.readings);
        let wanted = syncs.map(|(index, read)| {
            let now = SYNC_PERIOD * index;
            let runs = |asked: &&Option<Duration>| asked.is_none_or(|asked| now >= asked + start);
            let running = i32::try_from(pods.iter().filter(runs).count()).unwrap();
            let reading = Reading {
                running,
                pending: current - running,
                depth: read.depth,
                cpu_percent: read.cpu,
            };
            current = state.step(&hpa, current, reading, now);
            pods.resize(usize::try_from(current).unwrap(), Some(now));
            current
        });
        wanted.collect()
    }
}

#[test]
fn the_model_does_at_every_sync_what_the_real_controller_did() {
    let scenarios: Vec<Scenario> = serde_json::from_str(RECORDING).unwrap();
    let mut syncs = 0;
    let mut changes = 0;
    for scenario in &scenarios {
        assert_eq!(scenario.modelled(), scenario.recorded, "{}", scenario.name);
        syncs += scenario.recorded.len();
        changes += scenario
            .recorded
            .windows(2)
            .filter(|two| two[0] != two[1])
            .count();
    }
    // A recording in which nothing happens would prove nothing.
    assert!(
        scenarios.len() >= 70 && syncs >= 5_000 && changes >= 800,
        "{syncs} {changes}"
    );
}

#[test]
fn a_tolerance_of_its_own_is_read() {
    use k8s_openapi::api::autoscaling::v2::HPAScalingRules;
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
    for (given, tolerance) in [("50m", 0.05), ("0.2", 0.2), ("0", 0.0)] {
        let rules = HPAScalingRules {
            tolerance: Some(Quantity(given.to_owned())),
            ..HPAScalingRules::default()
        };
        assert!((Rules::up(Some(&rules)).tolerance - tolerance).abs() < f64::EPSILON);
    }
}
