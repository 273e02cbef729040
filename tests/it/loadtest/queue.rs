//! Through a real queue, with a real worker behind it.

use serde_json::Value;

use super::Scene;
use crate::report::page::shows;
use crate::support::eventually;
use crate::support::process::{self, Cio};
use crate::support::redis::RedisServer;

const RUN: [&str; 9] = [
    "loadtest",
    "--no-preflight",
    "--cleanup-rate",
    "2000",
    "--through",
    "queue",
    "--rate",
    "20",
    "--duration",
];

fn worker(scene: &Scene, server: &RedisServer) -> Cio {
    let url = server.url();
    let variables = [
        &scene.variables()[..3],
        &[("REDIS_URL", &url), ("CIO_METRICS_PORT", "0")],
    ]
    .concat();
    Cio::start(&["worker"], &variables)
}

fn run(scene: &Scene, server: &RedisServer, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = server.url();
    let variables = [&scene.variables()[..], &[("REDIS_URL", &url)]].concat();
    process::output(&[&RUN, arguments].concat(), &variables)
}

/// What the queue holds, as `cio queue stats` says.
fn stats(server: &RedisServer) -> Value {
    let arguments = ["queue", "stats", "--output", "json"];
    let (code, text, log) = process::output(&arguments, &[("REDIS_URL", &server.url())]);
    assert_eq!(code, Some(0), "{log}");
    serde_json::from_str(&text).expect("JSON")
}

/// The report of 120 identifies and 120 events that all were accepted.
fn reported(report: &Value) {
    let totals = &report["totals"];
    assert_eq!(report["way"], "queue");
    assert_eq!([&totals["requests"], &totals["answered"]], [240, 240]);
    assert_eq!(report["clean_up"]["doubtful"], 0);
    let sum = |rows: &Value, field: &str| -> u64 {
        let rows = rows.as_array().expect("rows").iter();
        rows.filter_map(|it| it[field].as_u64()).sum()
    };
    let (series, bins) = (&report["series"], &report["histogram"]);
    assert_eq!(
        (sum(series, "requests"), sum(series, "answered")),
        (240, 240)
    );
    assert_eq!((sum(bins, "enqueue"), sum(bins, "lag")), (240, 240));
    let lags = series.as_array().into_iter().flatten();
    let lags: Vec<f64> = lags.filter_map(|it| it["lag"]["p50"].as_f64()).collect();
    assert!(
        !lags.is_empty() && lags.iter().all(|it| *it >= 30.0),
        "{lags:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_through_the_queue_measures_until_a_worker_has_its_jobs_accepted() {
    let (scene, server) = (
        Scene::start(&["--latency", "30"]).await,
        RedisServer::start(),
    );
    let worker = worker(&scene, &server);
    let folder = tempfile::tempdir().expect("a folder");
    let [json, html] = ["json", "html"].map(|it| folder.path().join(it).display().to_string());
    let asked = [
        "6s",
        "--threshold",
        "cio_processing_lag: min>=30",
        "--json",
        &json,
        "--html",
        &html,
    ];
    let (code, summary, log) = run(&scene, &server, &asked);
    assert_eq!(code, Some(0), "{summary}{log}");
    let document = std::fs::read_to_string(json).expect("the JSON report");
    reported(&serde_json::from_str(&document).expect("JSON"));
    // Completed and scheduled; ended and added; three percentiles twice; users.
    let plots = ["Jobs", "Latency to enqueue", "Latency to acceptance"];
    shows(&html, "Passed", plots, 11);
    for words in [
        "cio_enqueue_latency",
        "✓ 'min>=30'",
        "jobs enqueued",
        "jobs completed",
    ] {
        assert!(summary.contains(words), "{words}: {summary}");
    }
    let numbers = scene.numbers().await;
    for (name, count) in [("identifies", 120), ("events", 120), ("people", 0)] {
        assert_eq!(numbers[name], count, "{name}");
    }
    assert_eq!(scene.journals(), 0);
    assert_eq!(worker.terminate().0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_errors() {
    let fault = r#"{"match": {"path_prefix": "/api/v2"}, "status": 207}"#;
    let (scene, server) = (
        Scene::start(&["--fault", fault]).await,
        RedisServer::start(),
    );
    let _worker = worker(&scene, &server);
    let none = ["--threshold", "cio_errors: count<1"];
    let (code, summary, log) = run(&scene, &server, &[&["1s"], &none[..]].concat());
    assert_eq!(code, Some(99), "{summary}{log}");
    assert!(log.contains("crossed: cio_errors 'count<1'"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_it_says_so_and_leaves_no_job() {
    let (scene, server) = (Scene::start(&[]).await, RedisServer::start());
    let report = scene.state.path().join("report.json");
    let (code, summary, log) = run(
        &scene,
        &server,
        &["1s", "--json", report.to_str().expect("UTF-8")],
    );
    assert_eq!(code, Some(1), "{log}");
    let nobody = "no job of queue cio-events completed";
    assert!(log.contains(nobody), "{log}");
    assert!(summary.contains("cio_enqueue_latency"), "{summary}");
    let report = std::fs::read_to_string(report).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let reason = report["verdict"]["reasons"][0].as_str();
    assert!(reason.is_some_and(|it| it.contains(nobody)), "{report}");
    assert!(log.contains("start cio worker"), "{log}");
    assert_eq!(stats(&server)["counts"]["waiting"], 0);
    assert_eq!(scene.numbers().await["identifies"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_to_end_takes_its_waiting_jobs_out_again() {
    let (scene, server) = (Scene::start(&[]).await, RedisServer::start());
    let url = server.url();
    let variables = [&scene.variables()[..], &[("REDIS_URL", &url)]].concat();
    let mut run = Cio::start(&[&RUN[..], &["60s"]].concat(), &variables);
    eventually("some jobs", async || {
        (stats(&server)["counts"]["waiting"].as_u64()? > 5).then_some(())
    })
    .await;
    run.signal("INT");
    eventually("no job and no journal", async || {
        let gone = stats(&server)["counts"]["waiting"] == 0 && scene.journals() == 0;
        gone.then_some(())
    })
    .await;
    // A second signal would end it at once.
    let status = eventually("its end", async || run.ended()).await;
    assert_eq!(status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_unknown_workers_is_refused_before_any_job_whatever_the_track_url_says() {
    let scene = Scene::start(&[]).await;
    for arguments in [
        &["--redis-url", "redis://redis.example:6379"][..],
        &[
            "--redis-url",
            "redis://redis.example:6379",
            "--staging-queue",
            "cio-event",
        ],
        &["--redis-url", "redis-sentinel://127.0.0.1:26379/main"],
    ] {
        let (code, log) = scene.run(&[&["--through", "queue"], arguments].concat());
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains("--staging-queue cio-events"), "{log}");
        assert_eq!(scene.journals(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_or_a_search_of_what_is_not_measured_is_refused() {
    let scene = Scene::start(&[]).await;
    for (arguments, words) in [
        (
            &[
                "--through",
                "queue",
                "--threshold",
                "cio_track_latency: max<1",
            ][..],
            "--through queue measures no such thing",
        ),
        (&["--through", "queue", "--adapt"], "leave out --adapt"),
        (
            &["--threshold", "cio_processing_lag: max<1"],
            "--through api measures no such thing",
        ),
    ] {
        let (code, log) = scene.run(arguments);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(words), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_worker_does_not_end_keeps_the_journal_for_a_later_clean_up() {
    let (scene, server) = (Scene::start(&[]).await, RedisServer::start());
    let client = redis::Client::open(server.url()).expect("an address");
    let worker = std::thread::spawn(move || {
        let mut redis = client.get_connection().expect("a connection");
        let taken = (0..1_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let mut take = redis::cmd("RPOPLPUSH");
            take.arg("bull:cio-events:wait")
                .arg("bull:cio-events:active");
            let job: Option<String> = take.query(&mut redis).expect("an answer");
            job.is_some()
        });
        assert!(taken, "no job to take");
    });
    let (code, _, log) = run(&scene, &server, &["1s"]);
    worker.join().expect("a job");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("1 jobs may still create their users"), "{log}");
    assert_eq!(scene.journals(), 1);
    let id = &scene.only_run();
    assert!(log.contains(&format!("cleanup --run {id}")), "{log}");
    let (code, log) = process::run(&["loadtest", "cleanup", "--run", id], &scene.variables());
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(scene.journals(), 0);
}
