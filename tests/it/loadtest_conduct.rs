//! What `cio loadtest` does before the test, and about 429s in it.

use std::process::Command;

use serde_json::Value;

use crate::loadtest::Scene;
use crate::support::process;

const SHORT: [&str; 4] = ["--cleanup-rate", "2000", "--preflight-duration", "2s"];

fn run(scene: &Scene, arguments: &[&str]) -> (Option<i32>, String) {
    process::run(
        &[&["loadtest"], &SHORT[..], arguments].concat(),
        &scene.variables(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_tenth_comes_first_and_is_removed_but_not_counted() {
    let scene = Scene::start(&[]).await;
    let counted = [
        "--threshold",
        "http_reqs: count==40",
        // In the end there are none: what counts is how many there were under load.
        "--threshold",
        "vus: value>0",
    ];
    let (code, log) = run(
        &scene,
        &[&["--rate", "20", "--duration", "1s"], &counted[..]].concat(),
    );
    assert_eq!(code, Some(0), "{log}");
    for words in [
        "region us, environment ",
        "pre-flight: 4 iterations in 2.0s",
        "pre-flight: clean, 8 requests",
        "clean-up: 24 of 24 users deleted; verified with the simulator: 0 left",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let numbers = scene.numbers().await;
    for (name, count) in [("identifies", 24), ("events", 24), ("people", 0)] {
        assert_eq!(numbers[name], count, "{name}");
    }
    assert_eq!(scene.journals(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_refuses_or_is_elsewhere_gets_no_load_at_all() {
    for (options, code, words) in [
        (
            ["--credentials", "other:key"],
            1,
            "401; check CUSTOMERIO_SITE_ID and CUSTOMERIO_TRACK_API_KEY",
        ),
        (["--region", "eu"], 2, "set CUSTOMERIO_REGION=eu"),
    ] {
        let scene = Scene::start(&options).await;
        let (exit, log) = run(&scene, &["--rate", "20", "--duration", "1s"]);
        assert_eq!(exit, Some(code), "{log}");
        assert!(log.contains(words), "{log}");
        let numbers = scene.numbers().await;
        assert_eq!(
            (&numbers["requests"], scene.journals()),
            (&Value::from(1), 0)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_pre_flight_another_region_is_refused_and_a_silent_workspace_is_loaded() {
    let load = ["--no-preflight", "--rate", "20", "--duration", "1s"];
    let begin = ["loadtest", "--cleanup-rate", "2000"];
    let elsewhere = Scene::start(&["--region", "eu"]).await;
    let (code, log) = process::run(&[&begin[..], &load].concat(), &elsewhere.variables());
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("set CUSTOMERIO_REGION=eu"), "{log}");
    assert_eq!(elsewhere.numbers().await["requests"], 1);

    let fault = r#"{"match": {"path_prefix": "/api/v1/accounts"}, "status": 404}"#;
    let silent = Scene::start(&["--fault", fault]).await;
    let (code, log) = process::run(&[&begin[..], &load].concat(), &silent.variables());
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("note: GET /api/v1/accounts/region: 404"),
        "{log}"
    );
    assert_eq!(silent.numbers().await["events"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenth_that_is_not_clean_is_all_that_is_sent() {
    let fault = r#"{"match": {"method": "PUT"}, "status": 429}"#;
    let scene = Scene::start(&["--fault", fault]).await;
    let (code, log) = run(&scene, &["--rate", "200", "--duration", "60s"]);
    assert_eq!(code, Some(1), "{log}");
    for words in [
        " answered with 429",
        "lower --requests-per-second",
        "was not begun",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    let numbers = scene.numbers().await;
    assert!(numbers["requests"].as_u64().unwrap() < 250, "{numbers}");
    assert_eq!((&numbers["people"], scene.journals()), (&Value::from(0), 0));
}

/// The summary of a run at 100 requests/s against a limit of 40.
async fn adapted(duration: &str) -> String {
    let scene = Scene::start(&["--requests-per-second", "40"]).await;
    let output = Command::new(env!("CARGO_BIN_EXE_cio"))
        .args([
            "loadtest",
            "--no-preflight",
            "--adapt",
            "--cleanup-rate",
            "35",
        ])
        .args(["--rate", "50", "--duration", duration])
        .args(["--threshold", "http_reqs: count>0"])
        .envs(scene.variables())
        .output()
        .expect("cio to run");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_that_meets_429s_falls_and_the_lower_plan_is_enough_for_a_pass() {
    let summary = adapted("4s").await;
    assert!(summary.contains("█ ADAPT"), "{summary}");
    let iterations = summary.lines().find(|line| line.contains(" iterations.."));
    let count = iterations.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    // 50 in the first second, and at most 20 in each of the others; 200 were asked for.
    assert!(
        count.is_some_and(|count| (60..=140).contains(&count)),
        "{summary}"
    );
}

/// Its name has `make test-limit` run it.
mod limit {
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "counts to the millisecond, so it runs alone: make test-limit"]
    async fn the_rate_that_holds_is_just_below_the_limit() {
        let summary = super::adapted("12s").await;
        let line = summary
            .lines()
            .find(|line| line.contains(" requests/s held for "));
        let line = line.unwrap_or_else(|| panic!("{summary}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        let (rate, seconds): (f64, u64) = (words[0].parse().unwrap(), words[4].parse().unwrap());
        assert!((30.0..=40.0).contains(&rate), "{summary}");
        assert!(seconds >= 4, "{summary}");
        println!("{}", line.trim());
    }
}
