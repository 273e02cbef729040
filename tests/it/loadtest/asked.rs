//! What is asked for is what is announced, sent and shown.

use axum::Router;
use axum::http::{StatusCode, Uri};
use cio_operator::loadtest::profile::{self, Profile};
use cio_operator::loadtest::schedule::Schedule;

use super::Scene;
use crate::support::process;

/// Ends a run at its first look, with exit code 99.
const AT_ONCE: [&str; 2] = ["--threshold", "http_reqs: count<1 abortOnFail"];
const NOTE: &str = "note: the peak is above the 100 requests/s that a workspace takes";

#[tokio::test(flavor = "multi_thread")]
async fn a_peak_above_the_workspaces_limit_is_noted_and_can_be_scaled() {
    let scene = Scene::start(&[]).await;
    let guide = Profile::default();
    let scaled = guide.clone().scaled_to(80.0);
    for (arguments, profile, noted) in [
        (&[][..], guide, true),
        (&["--requests-per-second", "80"], scaled, false),
    ] {
        let (code, log) = scene.run(&[arguments, &AT_ONCE].concat());
        assert_eq!(code, Some(99), "{log}");
        let planned = Schedule::new(&profile).total();
        let peak = profile.peak_requests();
        for words in [
            format!("{planned} iterations, {} requests", 2 * planned),
            format!("peak {peak} requests/s"),
        ] {
            assert!(log.contains(&words), "{words}: {log}");
        }
        assert_eq!(log.contains(NOTE), noted, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stages_and_a_profile_file_are_sent_as_they_are_written() {
    let stages = "10:1s,30:1s";
    let scene = Scene::start(&[]).await;
    let file = scene.state.path().join("profile.yaml");
    let text = "startRate: 10\nstages:\n- {target: 10, duration: 1s}\n- {target: 30, duration: 1s}\n\
        thinkTime: 10ms\nmaxUsers: 60\nthresholds:\n  http_reqs: ['count<1']\n";
    std::fs::write(&file, text).expect("written");
    let profile = Profile {
        start_rate: 10.0,
        stages: profile::stages(stages).expect("stages"),
        ..Profile::default()
    };
    let planned = Schedule::new(&profile).total();
    // The file's threshold is crossed, which shows that it was read.
    for (run, (arguments, code)) in [
        (["--stages", stages], 0),
        (["--profile", file.to_str().expect("UTF-8")], 99),
    ]
    .into_iter()
    .enumerate()
    {
        let (ended, log) = scene.run(&arguments);
        assert_eq!(ended, Some(code), "{log}");
        let sent = scene.numbers().await["identifies"].as_u64();
        assert_eq!(sent, Some(planned * (run as u64 + 1)), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_terminal_there_is_a_line_every_five_seconds() {
    let scene = Scene::start(&[]).await;
    let (code, log) = scene.run(&["--rate", "10", "--duration", "11s"]);
    assert_eq!(code, Some(0), "{log}");
    let lines = log.lines().filter(|it| it.starts_with("test running ("));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 2, "{log}");
    for words in ["of 11.0s", "asked 10.0 iterations/s", "identify ", "429"] {
        assert!(lines.iter().all(|it| it.contains(words)), "{words}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_asked_the_deletes_are_accepted_and_not_verified() {
    // It takes everything, as Customer.io does, and is no simulator that says who is left.
    let router = Router::new().fallback(async |uri: Uri| {
        if uri.path().starts_with("/_sim") {
            (StatusCode::NOT_FOUND, "")
        } else {
            (StatusCode::OK, "{}")
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let scene = Scene::start(&[]).await;
    let mut variables = scene.variables();
    variables[2].1 = &url;
    let arguments = "loadtest --no-preflight --cleanup-rate 2000 --rate 20 --duration 1s";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let (code, log) = process::run(&arguments, &variables);
    server.abort();
    assert_eq!(code, Some(0), "{log}");
    let said = "clean-up: 20 of 20 users deleted; accepted, not verified";
    assert!(log.contains(said), "{log}");
    assert_eq!(scene.journals(), 0);
}
