//! `cio loadtest` as a process against the simulator as a process.

mod app_api;
mod asked;
mod queue;
mod ramp;
mod stall;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{self, Cio};
use crate::support::redis::free_port;
use crate::support::{eventually, http};

/// A simulator, and a folder for the journals.
pub(crate) struct Scene {
    url: String,
    pub(crate) state: TempDir,
    simulator: Cio,
}

impl Scene {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let simulator = Cio::start(
            &[&["simulator", "--listen", &listen], options].concat(),
            &[],
        );
        let url = format!("http://{listen}");
        eventually("the simulator to answer", async || {
            http::get(&format!("{url}/_sim/state")).await
        })
        .await;
        Self {
            url,
            state: tempfile::tempdir().expect("a folder"),
            simulator,
        }
    }

    pub(crate) fn variables(&self) -> [(&str, &str); 4] {
        [
            ("CUSTOMERIO_SITE_ID", "site"),
            ("CUSTOMERIO_TRACK_API_KEY", "geheim"),
            ("CUSTOMERIO_TRACK_URL", &self.url),
            ("XDG_STATE_HOME", self.state.path().to_str().expect("UTF-8")),
        ]
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let fixed = ["loadtest", "--no-preflight", "--cleanup-rate", "2000"];
        process::run(&[&fixed, arguments].concat(), &self.variables())
    }

    /// Likewise, with standard output in front, while others work.
    async fn run_beside(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let fixed = ["loadtest", "--no-preflight", "--cleanup-rate", "2000"];
        let arguments: Vec<String> = fixed
            .iter()
            .chain(arguments)
            .map(|it| (*it).to_owned())
            .collect();
        let variables = self
            .variables()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        tokio::task::spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let variables = variables
                .each_ref()
                .map(|(name, it)| (name.as_str(), it.as_str()));
            process::output(&arguments, &variables)
        })
        .await
        .expect("the run")
    }

    /// When each identify call came, in seconds since the simulator's start.
    async fn identify_arrivals(&self) -> Vec<f64> {
        let page = http::get(&format!("{}/_sim/arrivals?method=PUT", self.url)).await;
        let page: Value = serde_json::from_str(&page.expect("an answer").1).expect("JSON");
        let arrivals: Vec<f64> =
            serde_json::from_value(page["arrivals_us"].clone()).expect("numbers");
        arrivals.into_iter().map(|us| us / 1e6).collect()
    }

    pub(crate) async fn numbers(&self) -> Value {
        let page = http::get(&format!("{}/_sim/state", self.url)).await;
        serde_json::from_str(&page.expect("an answer").1).expect("JSON")
    }

    /// The id of the one run that is noted.
    pub(crate) fn only_run(&self) -> String {
        let folder = std::fs::read_dir(self.state.path().join("cio/runs")).expect("a folder");
        let paths: Vec<_> = folder.map(|it| it.expect("an entry").path()).collect();
        let [path] = &paths[..] else {
            panic!("one journal: {paths:?}")
        };
        let id = path.file_stem().and_then(|it| it.to_str());
        id.expect("an id").to_owned()
    }

    pub(crate) fn journals(&self) -> usize {
        std::fs::read_dir(self.state.path().join("cio/runs")).map_or(0, Iterator::count)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_its_plan_and_leaves_nothing() {
    let scene = Scene::start(&[]).await;
    let (code, log) = scene.run(&["--rate", "20", "--duration", "2s"]);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("40 iterations, 80 requests"), "{log}");
    assert!(!log.contains("geheim"), "{log}");
    let numbers = scene.numbers().await;
    for (name, count) in [
        ("identifies", 40),
        ("events", 40),
        ("deletes", 40),
        ("people", 0),
    ] {
        assert_eq!(numbers[name], count, "{name}");
    }
    assert_eq!(scene.journals(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_cross_the_threshold_that_is_named() {
    let fault = r#"{"match": {"method": "POST"}, "status": 500}"#;
    let scene = Scene::start(&["--fault", fault]).await;
    let (code, log) = scene.run(&["--rate", "30", "--duration", "2s"]);
    assert_eq!(code, Some(99), "{log}");
    assert!(log.contains("cio_errors 'count<50'"), "{log}");
    assert_eq!(scene.numbers().await["people"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_which_every_request_fails_below_the_threshold_is_no_pass() {
    let fault = r#"{"match": {"path_prefix": "/api/v1/customers"}, "status": 401, "times": 20}"#;
    let scene = Scene::start(&["--fault", fault]).await;
    let (code, log) = scene.run(&["--rate", "10", "--duration", "1s"]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("all 20 requests failed"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_left_are_told_with_their_remedy_beside_a_crossed_threshold() {
    // Deletes are answered with 200 and not carried out.
    let fault = r#"{"match": {"method": "DELETE"}, "fault": "drop"}"#;
    let scene = Scene::start(&["--fault", fault]).await;
    let crossed = ["--threshold", "http_reqs: count<1"];
    let (code, log) = scene.run(&[&["--rate", "20", "--duration", "1s"], &crossed[..]].concat());
    assert_eq!(code, Some(99), "{log}");
    assert!(log.contains("crossed: http_reqs 'count<1'"), "{log}");
    assert!(log.contains("error: test users are left"), "{log}");
    let remedy = format!(
        "cio loadtest cleanup --run {} --cleanup-rate 2000\n",
        scene.only_run()
    );
    assert!(log.contains(&remedy), "{remedy}: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn production_is_refused_and_so_is_a_wrong_threshold() {
    let scene = Scene::start(&[]).await;
    let mut variables = scene.variables();
    variables[2].1 = "https://track.example.com";
    let (code, log) = process::run(&["loadtest"], &variables);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("--staging site"), "{log}");
    let (code, log) = scene.run(&["--threshold", "cio_errors: p(95)<5"]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("count, rate"), "{log}");
    assert_eq!(
        (scene.journals(), &scene.numbers().await["requests"]),
        (0, &Value::from(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_drops_most_of_its_plan_is_no_pass_and_says_what_to_raise() {
    let scene = Scene::start(&["--latency", "400"]).await;
    let users = ["--max-users", "1", "--threshold", "cio_errors: count<50"];
    let (code, log) = scene.run(&[&["--rate", "20", "--duration", "2s"], &users[..]].concat());
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("fell short") && log.contains("Raise both numbers: --max-users "),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_to_end_removes_its_users() {
    let scene = Scene::start(&[]).await;
    let arguments = [
        "loadtest",
        "--no-preflight",
        "--cleanup-rate",
        "2000",
        "--rate",
        "20",
        "--duration",
        "60s",
    ];
    let run = Cio::start(&arguments, &scene.variables());
    eventually("some users", async || {
        (scene.numbers().await["people"].as_u64()? > 5).then_some(())
    })
    .await;
    run.signal("INT");
    eventually("no user and no journal", async || {
        let gone = scene.numbers().await["people"] == 0 && scene.journals() == 0;
        gone.then_some(())
    })
    .await;
    // A second signal would end it at once, with another code.
    assert_eq!(run.finish().0, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_that_is_ended_loses_no_result() {
    let scene = Scene::start(&[]).await;
    let report = scene.state.path().join("report.json");
    let report = report.to_str().expect("UTF-8");
    let slow = ["loadtest", "--no-preflight", "--cleanup-rate", "0.1"];
    let load = ["--rate", "20", "--duration", "1s", "--json", report];
    let run = Cio::start(&[&slow[..], &load].concat(), &scene.variables());
    eventually("the report", async || {
        let text = std::fs::read_to_string(report).ok()?;
        let report: Value = serde_json::from_str(&text).ok()?;
        assert_eq!(report["verdict"]["outcome"], "passed", "{report}");
        assert_eq!(report["clean_up"], Value::Null);
        Some(())
    })
    .await;
    drop(run);
    assert_eq!(scene.journals(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_that_is_ended_loses_no_result_on_standard_output() {
    let scene = Scene::start(&[]).await;
    let out = scene.state.path().join("out");
    let file = std::fs::File::create(&out).expect("a file");
    let slow = ["loadtest", "--no-preflight", "--cleanup-rate", "0.1"];
    let load = ["--rate", "20", "--duration", "1s", "--json", "-"];
    let arguments = [&slow[..], &load].concat();
    let mut run = Cio::start_writing(&arguments, &scene.variables(), file);
    eventually("the clean-up", async || {
        (scene.numbers().await["deletes"].as_u64()? > 0).then_some(())
    })
    .await;
    // The first one asks, the second one insists.
    run.signal("INT");
    eventually("the report", async || {
        let text = std::fs::read_to_string(&out).ok()?;
        let report: Value = serde_json::from_str(&text).ok()?;
        assert_eq!(report["verdict"]["outcome"], "passed", "{report}");
        assert_eq!(report["clean_up"], Value::Null);
        Some(())
    })
    .await;
    assert!(run.ended().is_none(), "the clean-up goes on");
    run.signal("INT");
    assert_eq!(run.finish().0, Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_of_no_run_lists_those_that_left_users() {
    let scene = Scene::start(&[]).await;
    let runs = scene.state.path().join("cio/runs");
    let list = || process::run(&["loadtest", "cleanup"], &[scene.variables()[3]]);
    let (code, log) = list();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("no run has left a journal"), "{log}");

    std::fs::create_dir_all(&runs).expect("a folder");
    let ids = ["01J8Z3M5T8Q9X2V4B6N7C1D0EF", "01J8Z3M5T9Q9X2V4B6N7C1D0EF"];
    for (id, users) in ids.iter().zip(1..) {
        let header = format!(r#"{{"run":"{id}","site_id":"site","url":"{}"}}"#, scene.url);
        let user = "{\"user\":\"k6-load-7-0\"}\n".repeat(users);
        let text = format!("{header}\n{user}");
        std::fs::write(runs.join(format!("{id}.jsonl")), text).expect("a journal");
    }
    let (code, log) = list();
    assert_eq!(code, Some(2), "{log}");
    for (id, said) in ids.iter().zip(["at most 1 user", "at most 2 users"]) {
        let line = log
            .lines()
            .find(|it| it.contains(id) && it.contains("2024-09-"));
        assert!(line.is_some_and(|it| it.contains(said)), "{log}");
        let remedy = format!("cio loadtest cleanup --run {id}\n");
        assert!(log.contains(&remedy), "{log}");
    }
    assert!(!log.contains("k6-load"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_journal_can_be_written_nothing_is_sent_and_there_is_nothing_to_remove() {
    let scene = Scene::start(&[]).await;
    let file = scene.state.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let mut variables = scene.variables();
    variables[3].1 = file.to_str().expect("UTF-8");
    let (code, log) = process::run(&["loadtest", "--no-preflight"], &variables);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("cannot write the journal"), "{log}");
    assert!(!log.contains("to remove them"), "{log}");
    assert_eq!(scene.numbers().await["people"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_is_cleaned_up_by_its_id() {
    let scene = Scene::start(&[]).await;
    let run = Cio::start(
        &[
            "loadtest",
            "--no-preflight",
            "--rate",
            "20",
            "--duration",
            "60s",
        ],
        &scene.variables(),
    );
    eventually("some users", async || {
        (scene.numbers().await["people"].as_u64()? > 5).then_some(())
    })
    .await;
    drop(run);
    let id = &scene.only_run();
    let mut elsewhere = scene.variables();
    elsewhere[0].1 = "another-site";
    let people = scene.numbers().await["people"].clone();
    let (code, log) = process::run(&["loadtest", "cleanup", "--run", id], &elsewhere);
    assert_eq!(code, Some(2), "{log}");
    let where_it_was = format!("workspace site at {}", scene.url);
    assert!(log.contains(&where_it_was), "{log}");
    assert_eq!(scene.numbers().await["people"], people);
    let (code, log) = process::run(&["loadtest", "cleanup", "--run", id], &scene.variables());
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(
        (scene.numbers().await["people"].clone(), scene.journals()),
        (Value::from(0), 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shows_in_the_schedule_latency_of_a_request_that_was_itself_fast() {
    let stall = r#"{"match": {"method": "PUT"}, "latency_ms": 2000, "times": 5}"#;
    let scene = Scene::start(&["--fault", stall]).await;
    let thresholds = [
        "--threshold",
        "cio_track_latency: max<1500",
        "--threshold",
        "cio_track_latency_from_schedule: max<2000",
    ];
    let (code, log) = scene.run(&[&["--rate", "10", "--duration", "3s"], &thresholds[..]].concat());
    assert_eq!(code, Some(99), "{log}");
    assert!(
        log.contains("crossed: cio_track_latency_from_schedule 'max<2000'\n"),
        "{log}"
    );
}
