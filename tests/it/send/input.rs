//! What is read, and what is said of what cannot be.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Desk, Ran, events, sent};
use crate::support::{eventually, http};

const BAD: &str = r#"{"type":"identify","userId":"a","data":{}}
{"type":"track","userId":"a","data":{}}

{"type":"identify","data":{}}
not json
"#;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_lines_are_named_and_nothing_is_sent() {
    let desk = Desk::new(&[]).await;
    let path = desk.write("bad.jsonl", BAD);
    let path = path.to_str().unwrap();
    for (arguments, result) in [
        (&["send", path][..], Value::Null),
        (
            &["send", path, "--check"],
            json!({"operations": 4, "invalid": 3}),
        ),
        (&["enqueue", path], Value::Null),
    ] {
        let ran = desk.run(arguments, &[]);
        assert_eq!((ran.code, ran.result), (Some(2), result), "{arguments:?}");
        for (line, part) in [(2, "data.name"), (4, "userId"), (5, "JSON")] {
            let start = format!("bad.jsonl:{line}: ");
            let said = ran.errors.lines().find(|it| it.contains(&start));
            assert!(said.is_some_and(|it| it.contains(part)), "{}", ran.errors);
        }
    }
    assert_eq!(desk.count("people").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_refused_with_the_remedy() {
    let desk = Desk::new(&[]).await;
    let (pipe, folder) = (desk.folder.path().join("pipe"), desk.folder.path());
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    for command in ["send", "enqueue"] {
        for (path, said) in [
            (pipe.as_path(), "is a pipe: use - for standard input"),
            (folder, "is a folder"),
        ] {
            let ran = desk.run(&[command, path.to_str().unwrap()], &[]);
            assert_eq!(ran.code, Some(2), "{}", ran.errors);
            assert!(ran.errors.contains(said), "{}", ran.errors);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_without_a_heading_is_refused_without_a_word_of_its_first_line() {
    let desk = Desk::new(&[]).await;
    let path = desk.write("people.csv", "ann,ann@example.com,event\nbob,b@c.d,e\n");
    let ran = desk.run(&["send", path.to_str().unwrap()], &[]);
    assert_eq!(ran.code, Some(2), "{}", ran.errors);
    assert!(!ran.errors.contains("ann"), "{}", ran.errors);
    for said in ["userId has no column", "has 3 columns", "3 is event"] {
        assert!(ran.errors.contains(said), "{said}: {}", ran.errors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_good_lines_sends_nothing() {
    let desk = Desk::new(&[]).await;
    let path = desk.write("good.jsonl", &events(20));
    let ran = desk.run(&["send", path.to_str().unwrap(), "--check"], &[]);
    let expected = json!({"operations": 20, "invalid": 0});
    assert_eq!((ran.code, ran.result), (Some(0), expected));
    assert_eq!(desk.count("events").await, 0);
    assert_eq!(std::fs::read_dir(desk.folder.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_becomes_attributes_and_events() {
    let desk = Desk::new(&[]).await;
    let text = "customer,email,Age\nann,ann@example.com,41\nbob,,\n";
    let path = desk.write("people.csv", text);
    let path = path.to_str().unwrap();
    let map = ["--map", "userId=customer", "--map", "data.age:number=Age"];
    let ran = desk.run(&[&["send", path], &map[..]].concat(), &[]);
    ran.ended(0, &sent(2, 0));
    let (_, ann) = http::get(&format!("{}/_sim/people/ann", desk.url))
        .await
        .unwrap();
    let ann: Value = serde_json::from_str(&ann).unwrap();
    assert_eq!((&ann["age"], &ann["email"]), (&json!(41), &Value::Null));

    let single = ["--event", "bought", "--mode", "single"];
    let ran = desk.run(&[&["send", path], &map[..], &single].concat(), &[]);
    ran.ended(0, &sent(2, 0));
    assert_eq!(desk.count("events").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_kept_until_it_is_delivered() {
    let desk = Desk::new(&[]).await;
    let mut command = desk.command(&["send", "-"], &[]);
    let mut run = command.stdin(Stdio::piped()).spawn().unwrap();
    let text = events(1_500);
    run.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let ran = Ran::of(&run.wait_with_output().unwrap());
    ran.ended(0, &sent(1_500, 0));
    assert!(ran.errors.contains("1000 of 1500 done"), "{}", ran.errors);
    assert_eq!(desk.count("events").await, 1_500);
    assert_eq!(std::fs::read_dir(desk.folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_to_end_while_it_reads_standard_input_ends_and_keeps_nothing() {
    for command in ["send", "enqueue"] {
        let desk = Desk::new(&[]).await;
        let files = || std::fs::read_dir(desk.folder.path()).unwrap().count();
        let mut run = desk.command(&[command, "-"], &[]);
        let mut run = run.stdin(Stdio::piped()).spawn().unwrap();
        // The pipe stays open: there may be more.
        let mut pipe = run.stdin.take().unwrap();
        pipe.write_all(events(1).as_bytes()).unwrap();
        eventually("the copy", async || (files() == 1).then_some(())).await;
        let pid = run.id().to_string();
        let status = Command::new("kill").args(["-INT", &pid]).status();
        assert!(status.unwrap().success());
        let ended = eventually("its end", async || run.try_wait().unwrap()).await;
        assert_eq!((ended.code(), files()), (Some(1), 0), "{command}");
        drop(pipe);
    }
}
