//! The removal of users, verified through the App API.

use serde_json::json;

use super::Scene;
use crate::support::{http, process};

const RUN: [&str; 8] = [
    "loadtest",
    "--no-preflight",
    "--cleanup-rate",
    "2000",
    "--rate",
    "130",
    "--duration",
    "1s",
];

fn run(scene: &Scene, key: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let variables = [&scene.variables()[..], &[("CUSTOMERIO_APP_API_KEY", key)]].concat();
    process::run(&[&RUN, arguments].concat(), &variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_all_users_or_a_sample_are_asked_for() {
    let scene = Scene::start(&["--app-api-key", "schluessel"]).await;
    for (arguments, words) in [
        (&[][..], "verified through the App API, 130 of them: 0 left"),
        (
            &["--verify-sample", "20"],
            "verified through the App API, 20 of them: 0 left",
        ),
    ] {
        let (code, log) = run(&scene, "schluessel", arguments);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains(words), "{log}");
        assert!(!log.contains("schluessel"), "{log}");
        assert_eq!(scene.journals(), 0);
    }
    assert_eq!(scene.numbers().await["throttled"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_though_its_delete_was_accepted_is_found() {
    // Deletes are answered with 200 and not carried out.
    let fault = r#"{"match": {"method": "DELETE"}, "fault": "drop"}"#;
    let scene = Scene::start(&["--fault", fault]).await;
    let (code, log) = run(&scene, "any", &[]);
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("verified through the App API, 130 of them: 130 left"),
        "{log}"
    );
    assert_eq!(scene.journals(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_is_no_verification() {
    let scene = Scene::start(&["--app-api-key", "other"]).await;
    let (code, log) = run(&scene, "schluessel", &[]);
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("removal is not verified"), "{log}");
    assert!(log.contains("CUSTOMERIO_APP_API_KEY"), "{log}");
    assert!(!log.contains("schluessel"), "{log}");
    assert_eq!(scene.journals(), 1);
    let users = scene.numbers().await["people"].clone();
    assert_eq!(users, json!(0));
    let page = http::get(&format!("{}/v1/customers/attributes", scene.url)).await;
    assert_eq!(page.expect("an answer").0, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_of_the_app_api_that_is_wrong_is_refused_before_any_request() {
    let scene = Scene::start(&[]).await;
    for (key, url, name) in [
        ("schluessel", "api.customer.io", "CUSTOMERIO_APP_API_URL"),
        ("schlu\nessel", &scene.url, "CUSTOMERIO_APP_API_KEY"),
    ] {
        let settings = [
            ("CUSTOMERIO_APP_API_KEY", key),
            ("CUSTOMERIO_APP_API_URL", url),
        ];
        let variables = [&scene.variables()[..], &settings].concat();
        let (code, log) = process::run(&RUN, &variables);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(name) && !log.contains("essel"), "{log}");
    }
    let requests = scene.numbers().await["requests"].clone();
    assert_eq!((requests, scene.journals()), (json!(0), 0));
}
