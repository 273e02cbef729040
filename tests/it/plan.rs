//! `cio plan`: what it writes is what the cluster accepts, and what it predicts is what happens.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::process::Cio;
use crate::support::redis::{RedisServer, free_port};
use crate::support::{eventually, http};
use crate::worker::bench::{add, all_finished, queue, track};

/// How far a measured run may be from the plan, in percent. What a start costs is in it.
const TOLERANCE: f64 = 15.0;

fn cio(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cio"))
        .args(arguments)
        .output()
        .expect("cio runs")
}

fn stdout(arguments: &[&str]) -> String {
    let output = cio(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The plan as JSON.
fn plan(arguments: &[&str]) -> Value {
    let text = stdout(&[&["plan", "-o", "json"], arguments].concat());
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn every_manifest_it_writes_renders() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let cases = [
        ("5000", "batch", 1),
        ("2000000", "single", 1),
        ("5000000", "single", 3),
        ("30000000", "batch", 2),
    ];
    for (events, mode, shards) in cases {
        let whole = file("whole.yaml");
        stdout(&[
            "plan",
            "--events-per-day",
            events,
            "--mode",
            mode,
            "-o",
            &whole,
        ]);
        let text = std::fs::read_to_string(&whole).expect("a manifest");
        let documents: Vec<&str> = text.split("---\n").collect();
        assert_eq!(documents.len(), shards, "{events} {mode}");
        for document in documents {
            let one = file("one.yaml");
            std::fs::write(&one, document).expect("written");
            let objects = stdout(&["render", "-f", &one]);
            assert!(
                objects.contains("kind: HorizontalPodAutoscaler"),
                "{objects}"
            );
        }
        let manifest = file("manifest.yaml");
        stdout(&[
            "plan",
            "--events-per-day",
            events,
            "--mode",
            mode,
            "--manifest",
            &manifest,
        ]);
        assert_eq!(std::fs::read_to_string(manifest).ok(), Some(text));
    }
}

/// A manifest as the API would have it, and what is written in it.
fn written(arguments: &[&str]) -> Vec<Value> {
    let text = stdout(&[&["plan", "-o", "-"], arguments].concat());
    let documents = text.split("---\n");
    documents
        .map(|it| serde_saphyr::from_str(it).expect("YAML"))
        .collect()
}

#[test]
fn a_manifest_from_a_pipeline_keeps_what_the_plan_does_not_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.yaml");
    let mine = json!({
        "apiVersion": "cio.dev/v1alpha1",
        "kind": "CioPipeline",
        "metadata": {"name": "mine", "namespace": "shop", "labels": {"team": "crm"}},
        "spec": {
            "queue": {"name": "orders", "prefix": "shop", "redis": {"url": "rediss://r:6379"}},
            "workspace": {"region": "eu", "credentialsSecretRef": {"name": "eu"}},
            "worker": {"concurrency": 7},
            "autoscaling": {"maxReplicas": 5, "queueDepth": 90},
        },
    });
    std::fs::write(&file, mine.to_string()).expect("written");
    let file = file.to_str().expect("UTF-8");
    let volume = ["--mode", "single", "--events-per-day", "1000000"];
    let one = written(&[&["-f", file], &volume[..]].concat());
    let mut expected = mine;
    let spec = &mut expected["spec"];
    spec["workspace"]["rateLimit"] = json!({"requestsPerSecond": 80});
    spec["delivery"] = json!({"mode": "Single"});
    spec["autoscaling"]["minReplicas"] = 2.into();
    assert_eq!(one, [expected]);

    let many = ["--mode", "single", "--events-per-day", "5000000"];
    let many = written(&[&["-f", file], &many[..]].concat());
    for (number, document) in many.iter().enumerate() {
        let numbered = |name: &str| json!(format!("{name}-{number}"));
        assert_eq!(document["metadata"]["name"], numbered("mine"));
        let spec = &document["spec"];
        assert_eq!(spec["queue"]["name"], numbered("orders"));
        let secret = &spec["workspace"]["credentialsSecretRef"]["name"];
        assert_eq!(*secret, numbered("eu"));
        assert_eq!(spec["worker"]["concurrency"], 7);
        assert_eq!(spec["autoscaling"]["maxReplicas"], 5);
    }
    assert!(many.len() > 1);
}

#[test]
fn a_forecast_of_a_volume_is_of_one_of_its_queues() {
    let volume = ["--mode", "single", "--events-per-day", "5000000"];
    let figures = plan(&volume);
    let shards = figures["shards"].as_f64().expect("a number");
    assert!(shards > 1.0, "{figures}");
    let forecast = [&["plan", "--forecast"], &volume[..]].concat();
    let ticks: Value =
        serde_json::from_str(&stdout(&[&forecast[..], &["-o", "json"]].concat())).expect("JSON");
    let ticks = ticks.as_array().expect("ticks").iter();
    let arrivals = ticks.map(|tick| tick["arrivalsPerSecond"].as_f64().expect("a rate"));
    let most = arrivals.fold(0.0, f64::max);
    let peak = figures["peak"]["eventsPerSecond"].as_f64().expect("a rate");
    assert!((most * shards - peak).abs() < 1e-6, "{most} {peak}");
    let table = stdout(&forecast);
    assert!(
        table.contains(&format!("one of {shards} queues")),
        "{table}"
    );
}

#[test]
fn a_forecast_starts_from_a_pipeline_and_a_profile() {
    let folder = tempfile::tempdir().expect("a folder");
    let arrivals = folder.path().join("arrivals");
    std::fs::write(&arrivals, "0 10 # a quiet start\n5 0\n").expect("written");
    let arrivals = arrivals.to_string_lossy().into_owned();
    let arguments = [
        "plan",
        "--forecast",
        "--arrivals",
        &arrivals,
        "--initial-depth",
        "2000",
        "--mode",
        "single",
        "--requests-per-second",
        "10",
        "-f",
        "examples/pipeline.yaml",
        "--minutes",
        "20",
    ];
    let ticks: Value =
        serde_json::from_str(&stdout(&[&arguments[..], &["-o", "json"]].concat())).expect("JSON");
    let of = |second: u64, field: &str| {
        let ticks = ticks.as_array().expect("ticks");
        let tick = ticks.iter().find(|tick| tick["second"] == second);
        tick.expect("a tick")[field].clone()
    };
    // A standing backlog of 2,000: 4 pods after the window of 60 s, as the real controller has it.
    assert_eq!([of(45, "replicas"), of(60, "replicas")], [2, 4]);
    assert_eq!([of(300, "depth"), of(300, "replicas")], [2000, 4]);
    // Nothing arrives any more, and 10 a second go.
    assert_eq!([of(450, "depth"), of(510, "depth")], [500, 0]);
    let table = stdout(&arguments);
    assert!(
        table.contains("jobs in the queue") && table.contains("WANTED"),
        "{table}"
    );
}

#[test]
fn a_wrong_number_is_named_and_nothing_is_written() {
    let cases: [(&[&str], &str); 5] = [
        (&["plan"], "--events-per-day"),
        (
            &["plan", "--events-per-day", "1", "--peak-factor", "0.5"],
            "--peak-factor",
        ),
        (
            &["plan", "--events-per-day", "1", "--minutes", "5"],
            "--forecast",
        ),
        (
            &["plan", "--forecast", "--arrivals", "/no/such/file"],
            "--arrivals",
        ),
        (
            &[
                "plan",
                "--events-per-day",
                "1",
                "--forecast",
                "-o",
                "x.yaml",
            ],
            "--output",
        ),
    ];
    for (arguments, named) in cases {
        let output = cio(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(named), "{arguments:?}: {errors}");
    }
}

async fn used_memory(server: &RedisServer) -> f64 {
    let client = redis::Client::open(server.url()).expect("a client");
    let mut redis = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut redis)
        .await
        .expect("INFO");
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok())
        .expect("a number")
}

/// What a run was measured to need.
struct Measured {
    /// From the first request to the last job.
    seconds: f64,
    bytes_per_waiting_job: f64,
    bytes_per_finished_job: f64,
}

/// Real parts: `jobs` events with `payload` bytes of data each in Redis, the simulator, `cio worker`.
async fn run(jobs: u32, payload: usize, mode: &str, limit: &str, latency: &str) -> Measured {
    let server = RedisServer::start();
    let queue = queue(&server).await;
    let empty = used_memory(&server).await;
    // {"x":"…"}
    let data = json!({"x": "x".repeat(payload - 8)});
    add(
        &queue,
        (0..jobs).map(|n| track(&format!("user-{n}"), "measured", &data)),
    )
    .await;
    let waiting = used_memory(&server).await - empty;
    let listen = format!("127.0.0.1:{}", free_port());
    let simulator = format!("http://{listen}");
    let _simulator = Cio::start(
        &["simulator", "--listen", &listen, "--latency", latency],
        &[],
    );
    let state = format!("{simulator}/_sim/state");
    eventually("the simulator", async || http::get(&state).await).await;
    let url = server.url();
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("CUSTOMERIO_SITE_ID", "site"),
        ("CUSTOMERIO_TRACK_API_KEY", "key"),
        ("CUSTOMERIO_TRACK_URL", &simulator),
        ("CIO_DELIVERY_MODE", mode),
        ("CIO_REQUESTS_PER_SECOND", limit),
        ("CIO_METRICS_PORT", "0"),
    ];
    let _worker = Cio::start(&["worker"], &variables);
    eventually("the first request", async || {
        let (_, text) = http::get(&state).await?;
        let state: Value = serde_json::from_str(&text).ok()?;
        (state["events"].as_u64()? > 0).then_some(())
    })
    .await;
    let begin = Instant::now();
    assert_eq!(all_finished(&queue, jobs.into()).await, (jobs.into(), 0));
    let seconds = begin.elapsed().as_secs_f64();
    sleep(Duration::from_millis(200)).await;
    let finished = used_memory(&server).await - empty;
    Measured {
        seconds,
        bytes_per_waiting_job: waiting / f64::from(jobs),
        bytes_per_finished_job: finished / f64::from(jobs),
    }
}

fn assert_near(what: &str, predicted: f64, measured: f64) {
    let percent = (measured / predicted - 1.0) * 100.0;
    println!("{what}: predicted {predicted:.2}, measured {measured:.2} ({percent:+.1} %)");
    assert!(
        percent.abs() <= TOLERANCE,
        "{what}: {predicted} but {measured}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures time, so it runs alone: make test-limit"]
async fn a_backlog_is_drained_in_the_time_that_the_plan_says() {
    let arguments = [
        "--events-per-day",
        "86400",
        "--mode",
        "single",
        "--latency-ms",
        "50",
    ];
    let plan = plan(&[&arguments[..], &["--requests-per-second", "40"]].concat());
    let capacity = plan["drain"]["capacityEventsPerSecond"]
        .as_f64()
        .expect("a rate");
    let measured = run(400, 250, "single", "40", "50").await;
    assert_near(
        "seconds for 400 jobs at 40/s",
        400.0 / capacity,
        measured.seconds,
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures time, so it runs alone: make test-limit"]
async fn where_latency_is_the_bound_littles_law_says_how_fast() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("one-pod.yaml");
    let one_pod = "{apiVersion: cio.dev/v1alpha1, kind: CioPipeline, metadata: {name: one}, spec: {queue: {redis: {url: 'redis://r'}}, autoscaling: {minReplicas: 1, maxReplicas: 1}}}";
    std::fs::write(&file, one_pod).expect("written");
    let file = file.to_string_lossy();
    let plan = plan(&[
        "-f",
        &file,
        "--events-per-day",
        "1000",
        "--mode",
        "single",
        "--latency-ms",
        "500",
        "--requests-per-second",
        "0",
    ]);
    let capacity = plan["drain"]["capacityEventsPerSecond"]
        .as_f64()
        .expect("a rate");
    // 10 in flight of 0.5 s each.
    assert!((capacity - 20.0).abs() < 1e-9);
    let measured = run(200, 250, "single", "0", "500").await;
    assert_near("seconds for 200 jobs", 200.0 / capacity, measured.seconds);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures time, so it runs alone: make test-limit"]
async fn batches_and_memory_are_what_the_plan_says() {
    for (jobs, payload) in [(10_000, 250), (4_000, 2_000)] {
        let bytes = payload.to_string();
        let volume = ["--events-per-day", "8640000", "--requests-per-second", "2"];
        let plan = plan(&[&volume[..], &["--payload-bytes", &bytes]].concat());
        let number = |pointer: &str| {
            let number = plan.pointer(pointer).and_then(Value::as_f64);
            number.expect(pointer)
        };
        let measured = run(jobs, payload, "batch", "2", "50").await;
        let seconds = f64::from(jobs) / number("/drain/capacityEventsPerSecond");
        let what = |of: &str| format!("{of} for {jobs} jobs of {payload} bytes");
        assert_near(&what("seconds"), seconds, measured.seconds);
        let waiting = number("/redis/backlogBytes") / number("/drain/backlog");
        let bytes = measured.bytes_per_waiting_job;
        assert_near(&what("bytes waiting"), waiting, bytes);
        let finished = number("/redis/retainedBytes") / 60_000.0;
        let bytes = measured.bytes_per_finished_job;
        assert_near(&what("bytes finished"), finished, bytes);
    }
}

#[test]
fn a_format_that_is_no_format_here_becomes_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["yaml", "yml"] {
        let output = Command::new(env!("CARGO_BIN_EXE_cio"))
            .args(["plan", "--events-per-day", "5000", "-o", name])
            .current_dir(&folder)
            .output()
            .expect("cio runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        for remedy in ["-o pipeline.yaml", "-o -"] {
            assert!(errors.contains(remedy), "{errors}");
        }
        assert!(!folder.path().join(name).exists());
    }
}
