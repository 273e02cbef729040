//! Runs that go on with one before: where they may, and what an outage or a shorter file is to them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Desk, Ran, events, sent};
use crate::support::eventually;

const REFUSES: [&str; 2] = ["--fault", r#"{"status": 401}"#];

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_not_gone_on_with_at_another_endpoint() {
    let (desk, other) = (Desk::new(&REFUSES).await, Desk::new(&[]).await);
    let path = desk.write("operations.jsonl", &events(10));
    let arguments = ["send", path.to_str().unwrap(), "--resume"];
    assert_eq!(desk.run(&arguments[..2], &[]).code, Some(1));

    let elsewhere = [("CUSTOMERIO_TRACK_URL", other.url.as_str())];
    let ran = desk.run(&arguments, &elsewhere);
    assert_eq!((ran.code, &ran.result), (Some(2), &Value::Null));
    let state = "operations.jsonl.cio-state is of another file, mapping or workspace";
    assert!(ran.errors.contains(state), "{}", ran.errors);
    assert_eq!(other.count("requests").await, 0);

    desk.simulator.faults(&json!([])).await;
    let ran = desk.run(&arguments, &[]);
    ran.ended(0, &sent(10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_became_shorter_is_not_gone_on_with() {
    let desk = Desk::new(&REFUSES).await;
    let path = desk.write("operations.jsonl", &events(10));
    let arguments = ["send", path.to_str().unwrap(), "--resume"];
    assert_eq!(desk.run(&arguments[..2], &[]).code, Some(1));

    desk.simulator.faults(&json!([])).await;
    desk.write("operations.jsonl", &events(9));
    let ran = desk.run(&arguments, &[]);
    assert_eq!((ran.code, ran.result), (Some(2), Value::Null));
    assert!(ran.errors.contains("is of another file"), "{}", ran.errors);
    assert_eq!(desk.count("events").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_becomes_shorter_while_it_is_sent_is_an_error_that_says_so() {
    const OPERATIONS: usize = 40_000;
    // Nothing goes on: most of the file is not read yet when it is cut.
    let desk = Desk::new(&["--fault", r#"{"status": 503}"#]).await;
    let text = events(OPERATIONS);
    let path = desk.write("operations.jsonl", &text);
    let arguments = ["send", path.to_str().unwrap(), "--max-concurrent", "1"];
    let run = desk.command(&arguments, &[]).spawn().unwrap();
    eventually("a request", async || {
        (desk.count("requests").await > 0).then_some(())
    })
    .await;
    let kept = text.match_indices('\n').nth(OPERATIONS / 2 - 1).unwrap().0 + 1;
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(kept as u64).unwrap();
    desk.simulator.faults(&json!([])).await;

    let ran = Ran::of(&run.wait_with_output().unwrap());
    let found = OPERATIONS / 2;
    let said =
        format!("the file held {OPERATIONS} operations when it was checked, and {found} now");
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    assert!(ran.errors.contains(&said), "{}", ran.errors);
    assert_eq!(desk.count("events").await, found as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_while_it_is_sent_is_sent_as_far_as_it_was_checked() {
    const OPERATIONS: usize = 40_000;
    let desk = Desk::new(&["--fault", r#"{"status": 503}"#]).await;
    let path = desk.write("operations.jsonl", &events(OPERATIONS));
    let arguments = ["send", path.to_str().unwrap(), "--max-concurrent", "1"];
    let run = desk.command(&arguments, &[]).spawn().unwrap();
    eventually("a request", async || {
        (desk.count("requests").await > 0).then_some(())
    })
    .await;
    append(&path, &format!("{}{{\"type\":\"tra", events(10)));
    desk.simulator.faults(&json!([])).await;

    let ran = Ran::of(&run.wait_with_output().unwrap());
    let all = OPERATIONS as u64;
    ran.ended(0, &sent(all, 0));
    assert!(ran.errors.contains("were left out"), "{}", ran.errors);
    assert_eq!(desk.count("events").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_a_file_that_has_grown_since_goes_on_with_what_was_checked() {
    let desk = Desk::new(&REFUSES).await;
    let path = desk.write("operations.jsonl", &events(10));
    let arguments = ["send", path.to_str().unwrap(), "--resume"];
    assert_eq!(desk.run(&arguments[..2], &[]).code, Some(1));

    append(&path, "not an operation\n");
    desk.simulator.faults(&json!([])).await;
    let ran = desk.run(&arguments, &[]);
    ran.ended(0, &sent(10, 0));
    assert!(ran.errors.contains("were left out"), "{}", ran.errors);
    assert_eq!(desk.count("events").await, 10);
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// One operation has five attempts. It fails four times for its own sake, after an outage: were that an
/// attempt, too, there would be none left.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_costs_no_attempt() {
    let faults = [
        "--fault",
        r#"{"status": 503, "times": 5}"#,
        "--fault",
        r#"{"status": 404, "times": 4}"#,
    ];
    let desk = Desk::new(&faults).await;
    let path = desk.write("operations.jsonl", &events(1));
    let mut run = desk.start(&["send", path.to_str().unwrap()], &[]);
    while run.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(run.wait().unwrap().code(), Some(0));
    let state = desk.simulator.state().await;
    let answers = json!({"503": 5, "404": 4, "200": 1});
    assert_eq!(state["requests_by_status"], answers);
    assert_eq!(state["events"], 1);
}
