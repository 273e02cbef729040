//! What `failed` shows of a reason, and what it does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::scene::{Scene, text};

const FOREIGN: &str =
    "Error: no plan for Anna Müller <anna@example.com>, see https://shop.example/users/4711";

/// A failed job for each reason.
async fn fail_with(scene: &mut Scene, reasons: &[String]) {
    let ids = scene.add_failed(reasons.len()).await;
    for (id, reason) in ids.iter().zip(reasons) {
        scene
            .redis::<()>("HSET", &[id, "failedReason", reason])
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_of_another_worker_names_nobody_unless_asked_for_and_can_be_retried_as_shown() {
    let mut scene = Scene::new("bullmq6").await;
    let other = FOREIGN.replace("4711", "12");
    let ours = "userId is empty".to_owned();
    fail_with(&mut scene, &[FOREIGN.to_owned(), other, ours.clone()]).await;
    for output in [scene.run(&["failed"]), scene.run(&["failed", "-o", "json"])] {
        let shown = text(&output.stdout);
        for secret in ["Anna", "Müller", "@", "https", "4711", "plan"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
    assert!(text(&scene.run(&["failed"]).stdout).contains("--show-data shows"));
    let groups = scene.json(&["failed"]);
    assert_eq!(groups[0]["count"], 2, "one group: {groups}");
    assert_eq!(groups[1]["reason"], ours, "{groups}");
    assert_eq!(scene.json(&["failed", "--show-data"])[2]["count"], 1);
    let whole = text(&scene.run(&["failed", "--show-data"]).stdout);
    assert!(whole.contains(FOREIGN), "{whole}");
    assert!(!whole.contains("--show-data"), "nothing is hidden: {whole}");

    let shown = groups[0]["reason"].as_str().expect("a reason");
    let done = scene.json(&["retry", "--reason", shown, "--yes"]);
    assert_eq!(done["retried"], 2, "{done}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sentence_of_our_worker_and_of_the_simulator_is_shown_as_it_is() {
    let mut reasons = errors("src/delivery/refusal.rs");
    let refusals = reasons.len();
    let transport = errors("src/runtime/http_client.rs")
        .into_iter()
        .filter(|text| !text.contains(": 7"));
    reasons.extend(transport.map(|text| format!("Customer.io cannot be reached: {text}")));
    // v1.rs has those of calls that the worker does not make.
    let simulated = ["v2.rs", "validation.rs"];
    let said = simulated.map(|file| messages(&format!("src/simulator/{file}")));
    let said = said.into_iter().flatten();
    reasons.extend(said.map(|text| format!("Customer.io answered 400: {text}")));
    assert!(
        refusals > 10 && reasons.len() > refusals + 10,
        "{reasons:#?}"
    );
    let mut scene = Scene::new("bullmq6").await;
    fail_with(&mut scene, &reasons).await;
    let masked = texts(&scene.json(&["failed"]));
    let whole = texts(&scene.json(&["failed", "--show-data"]));
    let differ: Vec<_> = masked.symmetric_difference(&whole).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(whole.len(), BTreeSet::from_iter(reasons).len());
}

fn texts(groups: &Value) -> BTreeSet<String> {
    let groups = groups.as_array().expect("groups").iter();
    groups
        .map(|group| group["reason"].as_str().expect("a reason").to_owned())
        .collect()
}

/// The sentences of an error type, each hole filled with what stands there.
fn errors(file: &str) -> Vec<String> {
    literals(file, "#[error(")
}

/// The messages that the simulator has as constants.
fn messages(file: &str) -> Vec<String> {
    literals(file, "let message = ")
}

/// The text literals behind a mark in a source file.
fn literals(file: &str, mark: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let source = fs::read_to_string(path).expect("a source file");
    let source = source
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .to_owned();
    source
        .split(mark)
        .skip(1)
        .filter_map(|rest| literal(rest.trim_start()))
        .collect()
}

/// The literal that a text begins with.
fn literal(rest: &str) -> Option<String> {
    let rest = rest.strip_prefix('"')?.replace("\\\"", "\0");
    let (text, _) = rest.split_once('"')?;
    Some(filled(&text.replace('\0', "\"")))
}

fn filled(text: &str) -> String {
    text.replace("{what}", "the attribute \"plan\"")
        .replace("an {0}", "an event")
        .replace("{0} is not a time", "data.timestamp is not a time")
        .replace("{0:?}", "7s")
        .replace("{{", "(")
        .replace("}}", ")")
        .split('{')
        .enumerate()
        .map(|(at, part)| match part.split_once('}') {
            Some((_, rest)) if at > 0 => format!("7{rest}"),
            _ => part.to_owned(),
        })
        .collect()
}
