//! A program with BullMQ in it, which does what it is told: `tests/node/peer.mjs` and
//! `tests/python/peer.py`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::node;
use crate::worker::bench::QUEUE;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running program; it is killed when this is dropped.
pub(crate) struct Peer {
    child: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// `bullmq5`, `bullmq6` or `python`.
    pub(crate) async fn start(package: &str, redis_url: &str) -> Self {
        Self::start_on(package, redis_url, QUEUE).await
    }

    /// Likewise, on another queue than the tests' own.
    pub(crate) async fn start_on(package: &str, redis_url: &str, queue: &str) -> Self {
        let mut command = match package {
            "python" => python().await,
            _ => node(package).await,
        };
        command
            .arg(queue)
            .env("REDIS_URL", redis_url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the program to start");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = child.stdout.take().expect("a pipe");
        Self {
            child,
            stdin,
            answers: BufReader::new(stdout).lines(),
        }
    }

    /// Makes a call and waits for its answer.
    pub(crate) async fn call(&mut self, call: &str, arguments: Value) -> Value {
        let request = json!({"call": call, "arguments": arguments});
        let line = format!("{request}\n");
        let written = self.stdin.write_all(line.as_bytes()).await;
        written.expect("the program to listen");
        let answer = timeout(PATIENCE, self.answers.next_line()).await;
        let answer = answer.unwrap_or_else(|_| panic!("no answer to {request}"));
        let answer = answer.unwrap().expect("the program to go on");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer["error"].is_null(), "{request}: {}", answer["error"]);
        answer["value"].take()
    }

    /// Kills it with SIGKILL, with what it has in hand.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("to be killed");
    }
}

async fn node(package: &str) -> Command {
    let folder = in_repository("tests/node");
    let installed = folder.clone();
    tokio::task::spawn_blocking(move || node::install(&installed))
        .await
        .expect("an installation");
    let mut command = Command::new("node");
    command.current_dir(folder).args(["peer.mjs", package]);
    command
}

/// `make setup` installs it.
async fn python() -> Command {
    let read = async |path: &str| tokio::fs::read(in_repository(path)).await.ok();
    let lock = read("tests/python/requirements.txt").await;
    let installed = read("target/python/.installed-requirements.txt").await;
    assert!(
        installed.is_some() && installed == lock,
        "tests/python/requirements.txt is not what is installed: run `make setup`"
    );
    let mut command = Command::new(in_repository("target/python/bin/python"));
    command.arg(in_repository("tests/python/peer.py"));
    command
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
