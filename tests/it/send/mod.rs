//! `cio send` and `cio enqueue` as processes, against the simulator and a real Redis.

mod again;
mod crash;
mod ended;
mod enqueue;
mod input;
mod ledger;
mod limit;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::simulator::SimulatorProcess;

/// A simulator and a folder for files.
struct Desk {
    folder: TempDir,
    url: String,
    simulator: SimulatorProcess,
}

impl Desk {
    async fn new(options: &[&str]) -> Self {
        let simulator = SimulatorProcess::start(options).await;
        Self {
            folder: tempfile::tempdir().unwrap(),
            url: simulator.url.clone(),
            simulator,
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `cio` with the simulator as its workspace.
    fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cio"));
        command
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("CUSTOMERIO_SITE_ID", "site")
            .env("CUSTOMERIO_TRACK_API_KEY", "key")
            .env("CUSTOMERIO_TRACK_URL", &self.url)
            .env("TMPDIR", self.folder.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        Ran::of(&self.command(arguments, variables).output().unwrap())
    }

    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
        let mut command = self.command(arguments, variables);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// A number of the state, wherever it stands.
    async fn count(&self, name: &str) -> u64 {
        let state = self.simulator.state().await;
        find(&state, name).unwrap_or_else(|| panic!("no {name} in {state}"))
    }
}

fn find(value: &Value, name: &str) -> Option<u64> {
    let object = value.as_object()?;
    let here = object.get(name).and_then(Value::as_u64);
    here.or_else(|| object.values().find_map(|inner| find(inner, name)))
}

/// How a process ended.
struct Ran {
    code: Option<i32>,
    result: Value,
    errors: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            result: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// With this code and result; else its errors are shown.
    fn ended(&self, code: i32, result: &Value) {
        let found = (self.code, &self.result);
        assert_eq!(found, (Some(code), result), "{}", self.errors);
    }
}

/// So many events over a tenth as many users, the first called e0, the next one e1.
fn events(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let user = n % (count / 10).max(1);
        writeln!(
            text,
            r#"{{"type":"track","userId":"u{user}","data":{{"name":"e{n}","data":{{"n":{n}}}}}}}"#
        )
        .unwrap();
    }
    text
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn sent(succeeded: u64, failed: u64) -> Value {
    json!({"succeeded": succeeded, "failed": failed})
}
