//! A reader of standard output that has gone, as `head` does.

use std::io::Read;
use std::process::{Command, Output, Stdio};

use crate::support::eventually;
use crate::support::redis::RedisServer;

/// Runs `cio` with a standard output that nobody reads.
fn unread(arguments: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Command::new(env!("CARGO_BIN_EXE_cio"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer)
        .output()
        .expect("cio to run")
}

#[test]
fn what_nobody_reads_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("one.jsonl");
    let line = r#"{"type": "identify", "userId": "u", "data": {}}"#;
    std::fs::write(&file, line).expect("written");
    let file = file.to_str().expect("UTF-8");
    for arguments in [
        &["crd"][..],
        &["completions", "bash"],
        &["plan", "--events-per-day", "1000"],
        &["plan", "--events-per-day", "1000", "-o", "json"],
        &["render", "-f", "examples/pipeline.yaml"],
        &["send", file, "--check"],
        &["enqueue", file, "--check"],
    ] {
        let ran = unread(arguments);
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(0), "{arguments:?}: {errors}");
        assert_eq!(errors, "", "{arguments:?}");
    }
}

#[test]
fn what_failed_is_told_also_where_nobody_reads_the_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.jsonl");
    std::fs::write(&file, "no operation\n").expect("written");
    let ran = unread(&["send", file.to_str().expect("UTF-8"), "--check"]);
    assert_eq!(ran.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_when_its_reader_has_gone() {
    let server = RedisServer::start();
    let mut watch = Command::new(env!("CARGO_BIN_EXE_cio"))
        .args(["queue", "stats", "--watch", "--interval", "1"])
        .args(["--redis-url", &server.url()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("cio to start");
    let mut reader = watch.stdout.take().expect("a pipe");
    let mut first = [0; 1];
    reader.read_exact(&mut first).expect("a first line");
    drop(reader);
    let ended = eventually("its end", async || watch.try_wait().expect("its state")).await;
    assert_eq!(ended.code(), Some(0));
}
