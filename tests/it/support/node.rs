//! Node programs of `tests/node`, with the two BullMQ majors in the field.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// Runs `tests/node/<script>` against a Redis and reads the JSON it prints.
pub(crate) async fn run(script: &str, arguments: &[&str], redis_url: &str) -> Value {
    let script = script.to_owned();
    let arguments: Vec<_> = arguments.iter().map(|&it| it.to_owned()).collect();
    let redis_url = redis_url.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        output(
            Command::new("node")
                .current_dir(installed())
                .arg(script)
                .args(arguments)
                .env("REDIS_URL", redis_url),
        )
    });
    let output = output.await.expect("the script to be run");
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

/// `tests/node` with its packages. They are installed once for each state of the lock file.
fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        install(&folder);
        folder
    })
}

/// Runs `npm ci` in `folder` unless the last one was for the same lock file.
pub(crate) fn install(folder: &Path) {
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
pub(crate) fn output(command: &mut Command) -> Output {
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
