//! `cio loadtest` on a real terminal: a pseudo-terminal of `script`, of 80 columns and 24 lines.

use std::fs::read_to_string;
use std::process::{Child, Command, Stdio};

use crate::loadtest::Scene;
use crate::support::eventually;

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// Starts it there with these arguments; the shell's process id, which becomes its own, goes into a file.
fn start(scene: &Scene, arguments: &str, variables: &[(&str, &str)]) -> Child {
    let pid = scene.state.path().join("pid");
    let cio = env!("CARGO_BIN_EXE_cio");
    let line = format!(
        "stty cols 80 rows 24; echo $$ > '{}'; exec '{cio}' loadtest --cleanup-rate 2000 {arguments}",
        pid.display()
    );
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .envs(scene.variables())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
        .spawn()
        .expect("script, which Debian has in bsdutils")
}

/// How it ended, and all that was written to the terminal.
fn end(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().expect("an end");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_the_view_and_keeps_the_summary() {
    let scene = Scene::start(&["--latency", "20"]).await;
    let (code, text) = end(start(&scene, "--no-preflight --rate 20 --duration 3s", &[]));
    assert_eq!(code, Some(0), "{text}");
    let (before, rest) = text.split_once(ENTER).expect("a view");
    let (view, after) = rest.split_once(LEAVE).expect("its end");
    assert!(before.contains("60 iterations, 120 requests"), "{before}");
    // A frame for each second, drawn at once.
    assert!(view.matches("\u{1b}[?2026h").count() >= 3, "{view:?}");
    for words in [
        "offered",
        "achieved",
        "from schedule",
        "p99",
        "Iterations/s",
        "left",
        "38;5;",
    ] {
        assert!(view.contains(words), "{words}: {view:?}");
    }
    assert!(
        after.contains("THRESHOLDS") && after.contains("http_reqs"),
        "{after}"
    );
    // The cursor is shown again, and nothing else moves it.
    let plain = after.strip_prefix("\u{1b}[?25h").expect("the cursor");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_gives_the_terminal_back_and_no_color_is_heard() {
    let scene = Scene::start(&[]).await;
    let child = start(
        &scene,
        "--no-preflight --rate 20 --duration 60s",
        &[("NO_COLOR", "1")],
    );
    eventually("some users", async || {
        (scene.numbers().await["people"].as_u64()? > 30).then_some(())
    })
    .await;
    let pid = read_to_string(scene.state.path().join("pid")).expect("its id");
    let status = Command::new("kill").args(["-INT", pid.trim()]).status();
    assert!(status.expect("kill").success());
    let (code, text) = end(child);
    assert_eq!(code, Some(1), "{text}");
    let (view, after) = text.split_once(LEAVE).expect("the view's end");
    assert!(
        view.contains("offered") && !view.contains("38;5;"),
        "{view:?}"
    );
    assert!(
        after.contains("fell short") && !after.contains(ENTER),
        "{after}"
    );
    assert_eq!(scene.numbers().await["people"], 0);
}
