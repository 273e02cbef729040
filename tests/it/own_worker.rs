//! `examples/own-worker`: the guide's worker with the variables that the operator sets.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::support::redis::RedisServer;
use crate::support::simulator::SimulatorProcess;
use crate::support::{eventually, node};

/// Builds the bundle as its image does, once.
fn bundle() -> &'static Path {
    static BUNDLE: OnceLock<PathBuf> = OnceLock::new();
    BUNDLE.get_or_init(build)
}

fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/own-worker");
    node::install(&folder);
    for script in ["check", "build"] {
        let output = Command::new("npm")
            .args(["run", "--silent", script])
            .current_dir(&folder)
            .output()
            .expect("npm runs");
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "npm run {script}: {words}");
    }
    folder.join("dist/worker.cjs")
}

/// Killed when this is dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new("node");
    command
        .arg(bundle())
        .env_remove("REDIS_URL")
        .envs(variables.iter().copied())
        .stderr(Stdio::null());
    command
}

#[tokio::test]
async fn the_guides_worker_delivers_what_the_producer_queues_and_ends_on_sigterm() {
    let redis = RedisServer::start();
    let simulator = SimulatorProcess::start(&[]).await;
    let mut command = command(&[
        ("REDIS_URL", &redis.url()),
        ("CUSTOMERIO_SITE_ID", "site"),
        ("CUSTOMERIO_TRACK_API_KEY", "key"),
        ("CUSTOMERIO_TRACK_URL", &simulator.url),
    ]);
    let mut worker = Worker(command.spawn().expect("node runs"));
    node::produce(&["--count", "60", "--users", "10"], &redis.url()).await;
    eventually("60 requests that were answered with 200", async || {
        (simulator.answers(200).await == 60).then_some(())
    })
    .await;
    let state = simulator.state().await;
    assert_eq!(
        (&state["people"], &state["events"]),
        (&10.into(), &30.into())
    );
    let pid = worker.0.id().to_string();
    Command::new("kill").arg(pid).status().expect("kill");
    assert_eq!(worker.0.wait().expect("its end").code(), Some(0));
}

#[test]
fn without_credentials_it_says_which_variable_is_missing() {
    let mut command = command(&[("CUSTOMERIO_SITE_ID", "site")]);
    let output = command.stderr(Stdio::piped()).output().expect("node runs");
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        words.contains("CUSTOMERIO_TRACK_API_KEY is not set"),
        "{words}"
    );
}
