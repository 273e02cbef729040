//! The chart's text, without Helm; what it renders to is in `e2e::chart`.

use serde_json::Value;

fn parsed(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

/// What Artifact Hub scans is what an installation with the defaults runs.
#[test]
fn the_image_that_is_named_to_artifact_hub_is_the_one_of_the_values() {
    let chart = parsed(include_str!("../../charts/cio-operator/Chart.yaml"));
    let values = parsed(include_str!("../../charts/cio-operator/values.yaml"));
    let named = chart["annotations"]["artifacthub.io/images"].as_str();
    let images = parsed(named.expect("the annotation"));
    let repository = values["image"]["repository"]
        .as_str()
        .expect("a repository");
    let version = chart["appVersion"].as_str().expect("a version");
    assert_eq!(images[0]["image"], format!("{repository}:{version}"));
    assert_eq!(images.as_array().map(Vec::len), Some(1));
}

#[test]
fn the_chart_leaves_whom_callers_believe_to_whoever_renews_it() {
    let template = include_str!("../../charts/cio-operator/templates/adapter/apiservice.yaml");
    let sets = |line: &&str| line.trim_start().starts_with("caBundle:");
    assert_eq!(
        template.lines().find(sets),
        None,
        "a rollback would bring it back"
    );
}
