//! The built binary as a process of its own.

use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};

/// `cio` with arguments; it is killed when this is dropped.
pub(crate) struct Cio(Child);

impl Cio {
    /// Starts it with exactly these variables besides the system's own.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let child = command(arguments, variables).spawn().expect("cio to start");
        Self(child)
    }

    /// Sends it a signal, for example `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let (option, pid) = (format!("-{signal}"), self.0.id().to_string());
        let status = Command::new("kill").args([option, pid]).status();
        assert!(status.expect("kill").success(), "kill -{signal}");
    }

    /// Likewise, logging to a file: a pipe that nobody reads stops whoever says much.
    pub(crate) fn start_logging(arguments: &[&str], variables: &[(&str, &str)], log: File) -> Self {
        let mut command = command(arguments, variables);
        Self(command.stderr(log).spawn().expect("cio to start"))
    }

    /// Likewise, with its standard output in a file.
    pub(crate) fn start_writing(arguments: &[&str], variables: &[(&str, &str)], out: File) -> Self {
        let mut command = command(arguments, variables);
        Self(command.stdout(out).spawn().expect("cio to start"))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().expect("its state")
    }

    /// Asks it to end with SIGTERM; its exit code and what it logged.
    pub(crate) fn terminate(self) -> (Option<i32>, String) {
        let pid = self.0.id().to_string();
        Command::new("kill").arg(pid).status().expect("kill");
        self.finish()
    }

    /// Waits until it ends by itself; its exit code and what it logged.
    pub(crate) fn finish(mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        if let Some(stderr) = self.0.stderr.as_mut() {
            stderr.read_to_string(&mut log).expect("a log in UTF-8");
        }
        (self.0.wait().expect("an exit code").code(), log)
    }
}

impl Drop for Cio {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs it to its end: its exit code and what it said on standard error.
pub(crate) fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(arguments, variables).output().expect("cio to run");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), errors)
}

/// Likewise, with what it said on standard output before that.
pub(crate) fn output(
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    let mut command = command(arguments, variables);
    let output = command.stdout(Stdio::piped()).output().expect("cio to run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Only PATH is inherited: a setting of the person who runs the tests is none of the test.
fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cio"));
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}
