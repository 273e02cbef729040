//! What a load test leaves: its JSON against the simulator's counts, its page in a browser.

mod browser;
pub(crate) mod page;

use serde_json::Value;
use tempfile::TempDir;

use crate::loadtest::Scene;

/// A run's files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().expect("UTF-8").to_owned()
    }

    fn json(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.path(name)).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// The sum of a number over the series.
fn sum(report: &Value, pointer: &str) -> u64 {
    let points = report["series"].as_array().expect("points").iter();
    points
        .map(|it| it.pointer(pointer).and_then(Value::as_u64).unwrap_or(0))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_has_the_simulators_counts_and_its_series_adds_up_to_them() {
    let fault = r#"{"match": {"method": "POST"}, "status": 503, "times": 5}"#;
    let (scene, files) = (Scene::start(&["--fault", fault]).await, Files::new());
    let (code, log) = scene.run(&[
        "--rate",
        "20",
        "--duration",
        "3s",
        "--json",
        &files.path("a.json"),
    ]);
    assert_eq!(code, Some(0), "{log}");
    let (report, simulator) = (files.json("a.json"), scene.numbers().await);
    let totals = &report["totals"];
    assert_eq!(
        (&totals["statuses"]["200"], &totals["statuses"]["503"]),
        (&115.into(), &5.into())
    );
    for (ours, theirs) in [
        (totals["completed"].as_u64(), &simulator["identifies"]),
        (
            totals["statuses"]["200"].as_u64().map(|it| it - 60),
            &simulator["events"],
        ),
        (
            report["clean_up"]["created"].as_u64(),
            &simulator["deletes"],
        ),
        (report["clean_up"]["left"].as_u64(), &simulator["people"]),
    ] {
        assert_eq!(ours, theirs.as_u64(), "{report} {simulator}");
    }
    for (point, total) in [
        ("/scheduled", &report["profile"]["iterations"]),
        ("/started", &totals["started"]),
        ("/completed", &totals["completed"]),
        ("/dropped", &totals["dropped"]),
        ("/requests", &totals["requests"]),
        ("/errors", &totals["errors"]),
        ("/statuses/200", &totals["statuses"]["200"]),
        ("/statuses/503", &totals["statuses"]["503"]),
    ] {
        assert_eq!(Some(sum(&report, point)), total.as_u64(), "{point}");
    }
    assert!(
        report["series"].as_array().is_some_and(|it| it.len() >= 3),
        "{report}"
    );
    assert!(!report.to_string().contains("geheim"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_got_worse_than_its_baseline_exits_99_and_another_load_is_refused() {
    let (scene, files) = (Scene::start(&[]).await, Files::new());
    let (before, after, page) = (
        files.path("before.json"),
        files.path("after.json"),
        files.path("a.html"),
    );
    let load = ["--rate", "20", "--duration", "2s"];
    let (code, log) = scene.run(&[&load[..], &["--json", &before]].concat());
    assert_eq!(code, Some(0), "{log}");

    let slow = Scene::start(&["--latency", "300"]).await;
    let outputs = ["--baseline", &before, "--json", &after, "--html", &page];
    let (code, log) = slow.run(&[&load[..], &outputs].concat());
    assert_eq!(code, Some(99), "{log}");
    assert!(
        log.contains("worse than the baseline: latency from send p50"),
        "{log}"
    );
    let report = files.json("after.json");
    assert_eq!(report["verdict"]["outcome"], "got_worse");
    assert_eq!(
        report["comparison"]["baseline"],
        files.json("before.json")["run"]
    );

    // The slow run is the baseline now: what got better is no failure. The tolerance is for a busy machine.
    let better = ["--baseline", &after, "--tolerance", "300"];
    let (code, log) = scene.run(&[&load[..], &better].concat());
    assert_eq!(code, Some(0), "{log}");

    let (code, log) = scene.run(&["--rate", "21", "--duration", "2s", "--baseline", &before]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("another load: from 20 to 20 in 2s"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_could_not_be_written_is_refused_before_the_first_request() {
    let scene = Scene::start(&[]).await;
    for (flag, file) in [
        ("--json", "/nowhere/a.json"),
        ("--html", "/nowhere/a.html"),
        ("--baseline", "/nowhere/a.json"),
    ] {
        let (code, log) = scene.run(&["--rate", "20", "--duration", "2s", flag, file]);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(flag) && log.contains(file), "{log}");
    }
    assert_eq!(scene.numbers().await["requests"], 0);
}
