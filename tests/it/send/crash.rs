//! Runs that end before they are done, and those that go on with them.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::ledger::Ledger;
use super::{Desk, Ran, events, lines, sent};
use crate::support::eventually;
use crate::support::memory::own_peak_kib;

/// The requirement is 64 MiB for all of it; the released program's own pages are 15 of them.
const MOST_KIB: u64 = (64 - 16) * 1024;

/// Kills a run three times and lets the fourth end it; the most memory any of them took, in KiB.
async fn kill_three_times(
    desk: &Desk,
    ledger: &Ledger,
    path: &str,
    count: usize,
    options: &[&str],
) -> u64 {
    let arguments = [&["send", path, "--resume"], options].concat();
    let to_ledger = [("CUSTOMERIO_TRACK_URL", ledger.url.as_str())];
    let lines = || ledger.look(|it| it.lines);
    let mut memory = 0;
    for kill in 1..=3 {
        let mut run = desk.start(&arguments, &to_ledger);
        while lines() < count * kill / 5 {
            memory = memory.max(own_peak_kib(run.id()).unwrap_or(0));
            assert!(run.try_wait().unwrap().is_none(), "it ended at {kill}");
            sleep(Duration::from_millis(20)).await;
        }
        run.kill().unwrap();
        run.wait().unwrap();
        assert!(lines() < count, "all was sent at {kill}");
    }
    let last = desk.command(&arguments, &to_ledger).spawn().unwrap();
    let id = last.id();
    let waiting = tokio::task::spawn_blocking(move || last.wait_with_output());
    while !waiting.is_finished() {
        memory = memory.max(own_peak_kib(id).unwrap_or(0));
        sleep(Duration::from_millis(20)).await;
    }
    let ran = Ran::of(&waiting.await.unwrap().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    assert_eq!(ran.result, sent(count as u64, 0));
    memory
}

async fn exactly_once(count: usize, options: &[&str]) {
    let (desk, ledger) = (Desk::new(&[]).await, Ledger::start(count).await);
    let path = desk.write("operations.jsonl", &events(count));
    let path = path.to_str().unwrap();
    let memory = kill_three_times(&desk, &ledger, path, count, options).await;
    let (lines, doubled) = ledger.look(|it| {
        let recognised = it.recognised;
        println!("{count} lines: {memory} KiB at most, {recognised} recognised");
        (it.lines, it.doubled)
    });
    assert_eq!((lines, doubled), (count, 0));
    assert!(
        (1..MOST_KIB).contains(&memory),
        "{memory} KiB of {MOST_KIB}"
    );
    assert!(
        !desk
            .folder
            .path()
            .join("operations.jsonl.cio-state")
            .exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_three_times_delivers_each_line_once() {
    exactly_once(
        60_000,
        &["--requests-per-second", "10", "--max-concurrent", "2"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some minutes: make test-million"]
async fn a_million_lines_take_no_more_memory_and_arrive_once() {
    exactly_once(1_000_000, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_keeps_the_state_and_says_how_to_go_on() {
    let desk = Desk::new(&[]).await;
    let path = desk.write("operations.jsonl", &events(200));
    let path = path.to_str().unwrap();
    let slow = [
        "send",
        path,
        "--mode",
        "single",
        "--requests-per-second",
        "20",
    ];
    let run = desk.command(&slow, &[]).spawn().unwrap();
    let id = run.id().to_string();
    eventually("events", async || {
        (desk.count("events").await > 5).then_some(())
    })
    .await;
    let interrupt = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(interrupt.unwrap().success());
    let ran = Ran::of(&run.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    // All that was given, and nothing that the environment says.
    let command =
        format!("to go on: cio send {path} --resume --mode single --requests-per-second 20\n");
    assert!(ran.errors.contains(&command), "{}", ran.errors);

    let again = desk.run(&["send", path], &[]);
    assert_eq!(again.code, Some(2), "{}", again.errors);
    assert!(again.errors.contains("--resume"), "{}", again.errors);

    let ran = desk.run(&["send", path, "--resume"], &[]);
    assert_eq!((ran.code, ran.result), (Some(0), sent(200, 0)));
    assert_eq!(desk.count("events").await, 200);
    assert_eq!(desk.count("duplicates").await, 0, "nothing was sent twice");

    let ran = desk.run(&["send", path], &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.errors);
    assert_eq!(
        desk.count("events").await,
        400,
        "a second send is a new run"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_not_gone_on_with() {
    let desk = Desk::new(&["--fault", r#"{"status": 401}"#]).await;
    let path = desk.write("operations.jsonl", &events(10));
    let name = path.to_str().unwrap();
    let ran = desk.run(&["send", name], &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    assert!(
        ran.errors.contains("CUSTOMERIO_TRACK_API_KEY"),
        "{}",
        ran.errors
    );

    desk.simulator.faults(&json!([])).await;
    desk.write("operations.jsonl", &events(10).replace("e9", "f9"));
    let ran = desk.run(&["send", name, "--resume"], &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.errors);
    desk.write("operations.jsonl", &events(10));
    let ran = desk.run(&["send", name, "--resume"], &[]);
    ran.ended(0, &sent(10, 0));
    assert_eq!(desk.count("events").await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_lines_go_into_a_file_that_can_be_sent() {
    // The first item of every batch is refused, once.
    let desk = Desk::new(&["--fault", r#"{"status": 207, "times": 1}"#]).await;
    let path = desk.write("operations.jsonl", &events(50));
    let ran = desk.run(&["send", path.to_str().unwrap()], &[]);
    ran.ended(1, &sent(49, 1));
    let failed = desk.folder.path().join("operations.jsonl.failed.jsonl");
    let found = lines(&failed);
    assert_eq!(found.len(), 1);
    assert!(
        found[0]["error"].as_str().unwrap().contains("207"),
        "{found:?}"
    );

    let ran = desk.run(&["send", path.to_str().unwrap(), "--resume"], &[]);
    ran.ended(1, &sent(49, 1));
    let ran = desk.run(&["send", failed.to_str().unwrap()], &[]);
    ran.ended(0, &sent(1, 0));
    assert_eq!(desk.count("events").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_waited_for() {
    let desk = Desk::new(&["--fault", r#"{"status": 503, "times": 8}"#]).await;
    let path = desk.write("operations.jsonl", &events(3_000));
    let ran = desk.run(&["send", path.to_str().unwrap()], &[]);
    ran.ended(0, &sent(3_000, 0));
    assert_eq!(desk.count("events").await, 3_000);
}
