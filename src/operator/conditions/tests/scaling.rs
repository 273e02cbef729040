//! What is said of the metrics that the HPA gets, and of the HPA.

use super::super::scaling::scaling_active;
use super::*;
use crate::api::{MetricSource, WhenSaturated};

#[test]
fn whatever_keeps_the_hpa_from_acting_is_said_but_not_that_it_rests() {
    for (active, metrics) in [
        (("True", "ValidMetricFound"), "True"),
        (("False", "FailedGetPodsMetric"), "False"),
        (("False", "FailedGetResourceMetric"), "False"),
        (("False", "AmbiguousSelector"), "False"),
        (("False", "ScalingDisabled"), "True"),
    ] {
        let case = Case::with(|case| case.scaling_active = active);
        let (status, reason) = active;
        assert_eq!(case.find("MetricsAvailable").status, metrics, "{reason}");
        let found = case.find("ScalingActive");
        assert_eq!((found.status, found.reason.as_str()), (status, reason));
    }
    for (reason, words) in [
        ("FailedGetPodsMetric", "is held: look at the adapter"),
        ("FailedGetPodsMetric", "metricSource: External"),
        ("FailedGetExternalMetric", "metricSource: Pods"),
        ("FailedGetResourceMetric", "look at metrics-server"),
        ("AmbiguousSelector", "number of pods is held"),
    ] {
        let case = Case::with(|case| case.scaling_active = ("False", reason));
        let message = case.find("MetricsAvailable").message;
        assert!(message.contains(words), "{reason}: {message}");
    }
    let unknown = Case::with(|case| case.depth = Err(Unknown::NoReadySidecar));
    let found = unknown.find("MetricsAvailable");
    assert_eq!(
        (found.status, found.reason.as_str()),
        ("False", "NoReadySidecar")
    );
    assert_eq!(scaling_active(None).status, "Unknown");
}

#[test]
fn that_the_hpa_is_told_nothing_while_pods_are_replaced_under_a_limit_is_as_it_should_be() {
    let held = |change: fn(&mut Case)| {
        let mut case = Case::limited("Single", 5000, 1.0);
        case.spec.autoscaling.when_saturated = WhenSaturated::Hold;
        case.spec.autoscaling.metric_source = MetricSource::External;
        case.scaling_active = ("False", "FailedGetExternalMetric");
        counts(1, 2, 3, 2)(&mut case);
        change(&mut case);
        case
    };
    for (what, case, metrics, degraded) in [
        ("held", held(|_| {}), "Unknown", "False"),
        (
            "not rolling",
            held(|case| counts(2, 2, 2, 2)(case)),
            "False",
            "True",
        ),
        (
            "it scales",
            held(|case| case.spec.autoscaling.when_saturated = WhenSaturated::Scale),
            "False",
            "True",
        ),
        (
            "its source is the pods",
            held(|case| case.spec.autoscaling.metric_source = MetricSource::Pods),
            "False",
            "True",
        ),
        (
            "another reason",
            held(|case| case.scaling_active = ("False", "FailedGetResourceMetric")),
            "False",
            "True",
        ),
    ] {
        assert_eq!(case.find("MetricsAvailable").status, metrics, "{what}");
        assert_eq!(case.find("Degraded").status, degraded, "{what}");
    }
    let mut case = held(|_| {});
    case.depth = Case::limited("Single", 5000, 0.5).depth;
    assert_eq!(
        case.find("MetricsAvailable").status,
        "False",
        "there is room"
    );
}

#[test]
fn an_hpa_that_decides_without_the_depth_is_not_said_to_get_it() {
    let external = json!({
        "type": "External",
        "external": {"metric": {"name": "cio_queue_depth"}, "current": {}},
    });
    let other = json!({"type": "Pods", "pods": {"metric": {"name": "other"}, "current": {}}});
    // Where reading a metric failed, the HPA leaves an entry without a type.
    for (what, current, status) in [
        ("both", json!([cpu(), depth()]), "True"),
        ("external", json!([cpu(), external]), "True"),
        ("the depth alone", json!([{"type": ""}, depth()]), "True"),
        ("CPU alone", json!([cpu(), {"type": ""}]), "False"),
        ("another metric", json!([cpu(), other]), "False"),
        // It had nothing to compare: it is new, or outside of minReplicas and maxReplicas.
        ("not looked", json!(null), "True"),
        ("nothing", json!([]), "True"),
    ] {
        let case = Case::with(|case| case.current_metrics = current);
        assert_eq!(case.find("MetricsAvailable").status, status, "{what}");
    }
    for (source, reason, remedy) in [
        ("Pods", "FailedGetPodsMetric", "look at the adapter"),
        ("External", "FailedGetExternalMetric", "metricSource: Pods"),
    ] {
        let case = Case::with(|case| {
            case.metric_source = source;
            case.current_metrics = json!([cpu(), {"type": ""}]);
        });
        let found = case.find("MetricsAvailable");
        assert_eq!(found.reason, reason);
        for words in ["CPU alone", remedy] {
            assert!(found.message.contains(words), "{}", found.message);
        }
    }
}

#[test]
fn what_an_hpa_did_not_get_it_does_not_get_while_it_has_nothing_to_compare() {
    let pods = "FailedGetPodsMetric";
    let resting = ("False", "ScalingDisabled");
    let active = ("True", "ValidMetricFound");
    for (what, active, current, before, status) in [
        ("beyond its bounds", active, json!([]), pods, "False"),
        ("likewise", active, json!(null), pods, "False"),
        ("it rests", resting, json!([]), pods, "True"),
        (
            "it was another lack",
            active,
            json!([]),
            "NoReadySidecar",
            "True",
        ),
        (
            "it was another source",
            active,
            json!([]),
            "FailedGetExternalMetric",
            "True",
        ),
        ("it has it", active, json!([cpu(), depth()]), pods, "True"),
    ] {
        let case = Case::with(|case| {
            case.scaling_active = active;
            case.current_metrics = current;
        });
        let found = case
            .before("MetricsAvailable", "False", before)
            .find("MetricsAvailable");
        assert_eq!(found.status, status, "{what}");
        if status == "False" {
            assert_eq!(
                (found.reason.as_str(), found.message.as_str()),
                (pods, "as it was")
            );
        }
    }
}
