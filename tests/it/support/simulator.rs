//! `cio simulator` as a process of its own, and what it can be asked and told.

use std::collections::BTreeMap;

use serde_json::Value;

use super::process::Cio;
use super::redis::free_port;
use super::{eventually, http};

/// Events asked for at once: fewer than it keeps.
const PAGE: usize = 5_000;

/// A running simulator; it is killed when this is dropped.
pub(crate) struct SimulatorProcess {
    pub(crate) url: String,
    _process: Cio,
}

/// An event that it took.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) person: String,
    pub(crate) name: String,
}

impl SimulatorProcess {
    /// With more arguments, for example `["--requests-per-second", "80"]`.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let arguments = [&["simulator", "--listen", &address], arguments].concat();
        let process = Cio::start(&arguments, &[("CIO_LOG", "warn")]);
        let simulator = Self {
            url: format!("http://{address}"),
            _process: process,
        };
        eventually("the simulator", async || {
            http::get(&format!("{}/_sim/state", simulator.url)).await
        })
        .await;
        simulator
    }

    /// The faults from now on.
    pub(crate) async fn faults(&self, rules: &Value) {
        let url = format!("{}/_sim/faults", self.url);
        let (status, text) = http::put(&url, rules.to_string()).await.expect("an answer");
        assert_eq!(status, 204, "{text}");
    }

    /// A page under `/_sim`; nothing where there is none.
    pub(crate) async fn page(&self, page: &str) -> Option<Value> {
        let url = format!("{}/_sim/{page}", self.url);
        let (status, text) = http::get(&url).await.expect("an answer");
        (status == 200).then(|| serde_json::from_str(&text).expect("JSON"))
    }

    /// The counts.
    pub(crate) async fn state(&self) -> Value {
        self.page("state").await.expect("the state")
    }

    /// How many requests it got.
    pub(crate) async fn requests(&self) -> u64 {
        self.state().await["requests"].as_u64().expect("a number")
    }

    /// How many answers had this status.
    pub(crate) async fn answers(&self, status: u16) -> u64 {
        let state = self.state().await;
        let count = &state["requests_by_status"][status.to_string()];
        count.as_u64().unwrap_or(0)
    }

    /// When each request came, in microseconds since its start.
    pub(crate) async fn arrivals(&self) -> Vec<u64> {
        let arrivals = self.page("arrivals").await.expect("the arrivals");
        serde_json::from_value(arrivals["arrivals_us"].clone()).expect("numbers")
    }
}

/// Every event that a simulator took, read as they come: it keeps the last 10,000 alone.
#[derive(Debug, Default)]
pub(crate) struct TakenEvents {
    pub(crate) all: Vec<Taken>,
}

impl TakenEvents {
    /// Reads what has come since the last time.
    pub(crate) async fn read(&mut self, simulator: &SimulatorProcess) {
        loop {
            let after = self.all.len();
            let page = format!("events?after={after}&limit={PAGE}");
            let page = simulator.page(&page).await.expect("events");
            let events = page["events"].as_array().expect("a list");
            for event in events {
                let place = event["sequence"].as_u64().expect("a place");
                assert_eq!(place, self.all.len() as u64 + 1, "events were forgotten");
                let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
                self.all.push(Taken {
                    id: text("id"),
                    person: text("person"),
                    name: text("name"),
                });
            }
            if events.len() < PAGE {
                return;
            }
        }
    }

    /// How often each name was taken.
    pub(crate) fn by_name(&self) -> BTreeMap<&str, usize> {
        let mut names = BTreeMap::new();
        for event in &self.all {
            *names.entry(event.name.as_str()).or_default() += 1;
        }
        names
    }
}
