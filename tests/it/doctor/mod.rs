//! `cio doctor`: the built binary beside a real Redis, the simulator and an API server that answers what
//! it is told. `e2e::doctor` has a real cluster.

pub(crate) mod api_server;
mod cluster;
mod without_cluster;

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Exit code and checks of `cio doctor -o json`, with exactly these variables.
fn doctor(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Checks) {
    let output = Command::new(env!("CARGO_BIN_EXE_cio"))
        .arg("doctor")
        .args(arguments)
        .args(["-o", "json"])
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("cio to run");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let checks: Vec<Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    let named = checks.into_iter().map(|check| {
        let name = check["name"].as_str().expect("a name").to_owned();
        (name, check)
    });
    (output.status.code(), Checks(named.collect()))
}

/// The checks by name; of several of one name the last.
#[derive(Debug)]
struct Checks(BTreeMap<String, Value>);

impl Checks {
    fn verdict(&self, name: &str) -> &str {
        self.0.get(name).map_or("absent", |check| {
            check["verdict"].as_str().expect("a verdict")
        })
    }

    /// Finding and remedy.
    fn words(&self, name: &str) -> String {
        let check = self
            .0
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        format!("{} -> {}", check["finding"], check["remedy"])
    }

    /// Each name with its verdict.
    fn expect(&self, verdicts: &[(&str, &str)]) {
        for (name, verdict) in verdicts {
            assert_eq!(self.verdict(name), *verdict, "{name}: {self:#?}");
        }
    }
}
