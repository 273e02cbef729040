//! Node programs: those of `tests/node`, with the two BullMQ majors in the field, and the guide's
//! producer.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// Runs `tests/node/<script>` against a Redis and reads the JSON it prints.
pub(crate) async fn run(script: &str, arguments: &[&str], redis_url: &str) -> Value {
    run_in("tests/node", script, arguments, redis_url).await
}

/// Runs the guide's producer, likewise.
pub(crate) async fn produce(arguments: &[&str], redis_url: &str) -> Value {
    run_in("examples/producer", "produce.mjs", arguments, redis_url).await
}

async fn run_in(folder: &str, script: &str, arguments: &[&str], redis_url: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let script = script.to_owned();
    let arguments: Vec<_> = arguments.iter().map(|&it| it.to_owned()).collect();
    let redis_url = redis_url.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        install(&folder);
        output(
            Command::new("node")
                .current_dir(folder)
                .arg(script)
                .args(arguments)
                .env("REDIS_URL", redis_url),
        )
    });
    let output = output.await.expect("the script to be run");
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

/// Installs the packages of `folder`, one test at a time, unless the last installation was for the
/// same lock file.
pub(crate) fn install(folder: &Path) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let marker = folder.join("node_modules/.installed-lock.json");
    let lock = std::fs::read(folder.join("package-lock.json")).expect("package-lock.json");
    if std::fs::read(&marker).is_ok_and(|installed| installed == lock) {
        return;
    }
    output(Command::new("npm").current_dir(folder).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]));
    std::fs::write(marker, lock).expect("to note what was installed");
}

/// What the command printed; panics with its standard error when it failed.
fn output(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("{command:?}: {error}; install Node.js 20 or later, with npm")
        });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output
}
