//! A page in Chromium: what it says when it is there, what it complains of, what it asks the network for.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What became of a page.
pub(super) struct Opened {
    /// Its elements, after its scripts.
    pub(super) document: String,
    /// What its console was told.
    pub(super) console: Vec<String>,
    /// The addresses it asked for, but for files.
    pub(super) requests: Vec<String>,
}

/// Opens `page` in a window `width` pixels wide.
pub(super) fn open(page: &Path, width: u32, dark: bool) -> Opened {
    let profile = tempfile::tempdir().expect("a folder");
    let log = profile.path().join("network.json");
    let mut command = Command::new("chromium-headless-shell");
    command.args([
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--hide-scrollbars",
    ]);
    command.args([
        "--enable-logging=stderr",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--log-net-log={}", log.display()));
    command.arg(format!("--window-size={width},900"));
    command.args(dark.then_some("--blink-settings=preferredColorScheme=0"));
    let output = command.arg(format!("file://{}", page.display())).output();
    let output = output.expect("chromium-headless-shell: run scripts/setup");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Opened {
        document: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: said
            .lines()
            .filter(|it| it.contains("CONSOLE"))
            .map(str::to_owned)
            .collect(),
        requests: requests(&std::fs::read_to_string(log).expect("a network log")),
    }
}

/// The addresses in Chromium's network log.
fn requests(log: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(log).expect("JSON");
    let events = log["events"].as_array().expect("events").iter();
    let addresses = events.filter_map(|it| it["params"]["url"].as_str());
    let outside = addresses.filter(|it| it.starts_with("http") || it.starts_with("ws"));
    outside.map(str::to_owned).collect()
}

#[test]
fn the_browser_tells_of_errors_and_of_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("bad.html");
    let text =
        "<body><img src=\"http://127.0.0.1:9/picture\"><script>console.error('so bad')</script>";
    std::fs::write(&page, text).expect("a file");
    let opened = open(&page, 800, false);
    assert!(
        opened.console.iter().any(|it| it.contains("so bad")),
        "{:?}",
        opened.console
    );
    assert!(
        opened
            .requests
            .iter()
            .any(|it| it.contains("127.0.0.1:9/picture")),
        "{:?}",
        opened.requests
    );
}
