//! What stands where Customer.io would, and keeps which line's event came with which id: of a million lines, too.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::Value;
use tokio::net::TcpListener;

/// A running one; it takes everything.
#[derive(Clone)]
pub(super) struct Ledger {
    pub(super) url: String,
    entries: Arc<Mutex<Entries>>,
}

/// What came of lines whose events are called e0, e1 and so on.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// The id of each line's event; by it Customer.io recognises an event that it has.
    ids: Vec<Option<Box<str>>>,
    /// Lines that came.
    pub(super) lines: usize,
    /// Events that came once more, as the same.
    pub(super) recognised: usize,
    /// Events that came once more, as another.
    pub(super) doubled: usize,
}

impl Ledger {
    /// For so many lines.
    pub(super) async fn start(count: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let entries = Entries {
            ids: vec![None; count],
            ..Entries::default()
        };
        let ledger = Self {
            url,
            entries: Arc::new(Mutex::new(entries)),
        };
        let router = Router::new().fallback(take).with_state(ledger.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        ledger
    }

    /// Looks at what came so far.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Entries) -> T) -> T {
        at(&self.entries.lock().expect("the lock"))
    }
}

impl Entries {
    fn note(&mut self, event: &Value) {
        let text = |field: &str| event[field].as_str().expect("a text");
        let line: usize = text("name")[1..].parse().expect("a line");
        let known = &mut self.ids[line];
        match known.as_deref() {
            Some(id) if id == text("id") => self.recognised += 1,
            Some(_) => self.doubled += 1,
            None => {
                *known = Some(text("id").into());
                self.lines += 1;
            }
        }
    }
}

async fn take(State(ledger): State<Ledger>, body: Bytes) -> &'static str {
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut entries = ledger.entries.lock().expect("the lock");
    for event in body["batch"].as_array().expect("a batch") {
        entries.note(event);
    }
    "{}"
}
