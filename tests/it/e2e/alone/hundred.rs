//! A broken, a hostile and a stuck resource among a hundred delay no other.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::super::support::{SOON, Stage, manifest};

const SOUND: usize = 97;
/// No node has this label: objects are made, and the machine runs none of the pods.
const NOWHERE: &str = "nodeSelector: {nobody: has-it}";
/// What a measurement on a machine with two processors differs by.
const NOISE: Duration = Duration::from_secs(5);

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn three_that_are_broken_hostile_and_stuck_do_not_delay_the_other_ninety_seven() {
    let stage = Stage::empty("hundred");
    apply(&stage, &sound(1));
    let took = |generation: i64| {
        let started = Instant::now();
        stage.wait("97 pipelines are looked at", SOON, || {
            looked_at(&stage, generation) == SOUND
        });
        started.elapsed()
    };
    took(1);
    apply(&stage, &sound(2));
    let usual = took(2);

    let create = |text: &str| stage.try_kubectl(&["create", "-f", "-"], Some(text));
    let long = create(&named(&"n".repeat(10_000), 1, ""));
    assert!(!long.status.success(), "a name of 10,000 characters");
    // The API server takes the resource, and refuses the Deployment: too many annotations.
    let huge = format!("annotations: {{example.com/huge: {}}}", "x".repeat(300_000));
    // What the schema takes, and the API server does not.
    for (name, template) in [
        ("hostile", huge.as_str()),
        ("broken", "labels: {a: 'no label!'}"),
    ] {
        let created = create(&named(name, 1, template));
        assert!(created.status.success(), "{name}: {created:?}");
    }
    assert!(
        create(&named("stuck", 1, "priorityClassName: nobody-has-it"))
            .status
            .success()
    );
    for name in ["hostile", "broken"] {
        stage.wait(name, SOON, || {
            condition(&stage.get("ciopipeline", name), "Stalled") == "True"
        });
    }
    apply(&stage, &sound(3));
    let beside = took(3);
    println!("97 pipelines: {usual:?} alone, {beside:?} beside the three");
    assert!(
        beside < usual * 3 / 2 + NOISE,
        "{usual:?} alone, {beside:?} beside the three"
    );
    for name in ["hostile", "broken"] {
        assert_eq!(
            condition(&stage.get("ciopipeline", name), "Stalled"),
            "True"
        );
    }
}

fn apply(stage: &Stage, text: &str) {
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(text));
    assert!(
        applied.status.success(),
        "{}",
        String::from_utf8_lossy(&applied.stderr)
    );
}

/// The 97, each with this maximum: another one is another generation.
fn sound(most: usize) -> String {
    let mut text = String::new();
    for number in 0..SOUND {
        let pipeline = named(&format!("p{number}"), most, NOWHERE);
        write!(text, "---\n{pipeline}").expect("a string takes it");
    }
    text
}

fn named(name: &str, most: usize, template: &str) -> String {
    let spec = format!(
        "  autoscaling: {{minReplicas: 1, maxReplicas: {most}}}\n  worker: {{template: {{{template}}}}}\n"
    );
    manifest(&spec)
        .replace("{name: events}", &format!("{{name: {name}}}"))
        .replace("queue: {", &format!("queue: {{name: {name}, "))
}

/// How many have this generation in their status and in their HPA.
fn looked_at(stage: &Stage, generation: i64) -> usize {
    let items = |kind: &str| {
        let text = stage.kubectl(&["get", kind, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["items"].as_array().expect("items").clone()
    };
    let pipelines = items("ciopipelines");
    let hpas = items("hpa");
    let of_spec = hpas
        .iter()
        .filter(|hpa| hpa["spec"]["maxReplicas"] == generation)
        .count();
    let seen = pipelines.iter().filter(|it| {
        let name = it["metadata"]["name"].as_str().unwrap_or_default();
        // The first letter of those that are sound.
        name.starts_with('p') && it["status"]["observedGeneration"] == generation
    });
    seen.count().min(of_spec)
}

fn condition(pipeline: &Value, kind: &str) -> String {
    let conditions = pipeline["status"]["conditions"].as_array().cloned();
    let found = conditions
        .into_iter()
        .flatten()
        .find(|found| found["type"] == kind);
    found
        .and_then(|found| found["status"].as_str().map(ToOwned::to_owned))
        .unwrap_or_default()
}
