//! When the workspace's limit bounds the drain, and how that is said.

use super::*;

#[test]
fn the_limit_bounds_the_drain_when_it_is_used_up_and_a_backlog_waits() {
    let was = |case: Case| case.before("RateLimited", "True", "LimitReached");
    for (what, case, status, reason) in [
        (
            "a backlog",
            Case::limited("Single", 2000, 0.98),
            "True",
            "LimitReached",
        ),
        (
            "no backlog",
            Case::limited("Single", 500, 0.98),
            "False",
            "LimitNotReached",
        ),
        (
            "room",
            Case::limited("Single", 2000, 0.85),
            "False",
            "LimitNotReached",
        ),
        (
            "room, a little",
            was(Case::limited("Single", 2000, 0.85)),
            "True",
            "LimitReached",
        ),
        (
            "room again",
            was(Case::limited("Single", 2000, 0.79)),
            "False",
            "LimitNotReached",
        ),
        (
            "nearly drained",
            was(Case::limited("Single", 251, 0.98)),
            "True",
            "LimitReached",
        ),
        (
            "drained",
            was(Case::limited("Single", 250, 0.98)),
            "False",
            "LimitNotReached",
        ),
        ("not known yet", Case::fine(), "Unknown", "LimitUnknown"),
        (
            "the depth is unknown",
            Case::with(|case| case.depth = Err(Unknown::DepthUnknown)),
            "Unknown",
            "DepthUnknown",
        ),
        (
            "no limit",
            Case::with(|case| case.spec.workspace.rate_limit.requests_per_second = 0),
            "False",
            "NoLimit",
        ),
    ] {
        let found = case.find("RateLimited");
        assert_eq!(
            (found.status, found.reason.as_str()),
            (status, reason),
            "{what}"
        );
    }
    let mut open = Case::limited("Single", 2000, 0.0);
    open.depth = open.depth.map(|reading| Reading {
        limit: reading.limit.map(|limit| Limit {
            circuit_open: true,
            ..limit
        }),
        ..reading
    });
    assert_eq!(open.find("RateLimited").reason, "CircuitOpen");
}

#[test]
fn an_unknown_limit_is_blamed_on_another_image_only_where_there_is_one() {
    for (spec, words) in [
        ("", "no sidecar knows yet"),
        ("  worker: {image: example/worker:1}\n", "another image"),
    ] {
        let found = Case::with(|case| case.spec = pipeline(spec).spec).find("RateLimited");
        assert_eq!(found.reason, "LimitUnknown");
        assert!(found.message.contains(words), "{}", found.message);
    }
}

#[test]
fn the_message_of_a_used_up_limit_has_the_numbers_and_what_would_help() {
    let single = Case::limited("Single", 48_000, 0.98)
        .find("RateLimited")
        .message;
    for words in [
        "78 of 80 requests/s are used",
        "48000 jobs take 10 min at the limit",
        "spec.delivery.mode Batch (up to",
        "whenSaturated Hold",
    ] {
        assert!(single.contains(words), "{words}: {single}");
    }
    let batch = Case::limited("Batch", 48_000, 0.98)
        .find("RateLimited")
        .message;
    assert!(!batch.contains("mode Batch"), "{batch}");
    let mut lowered = Case::limited("Single", 2000, 0.98);
    lowered.spec.workspace.rate_limit.requests_per_second = 100;
    let found = lowered.find("RateLimited");
    assert_eq!(found.reason, "LimitLowered");
    assert!(found.message.contains("(100 is set;"), "{}", found.message);
}
