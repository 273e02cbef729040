//! One iteration's two calls: identify a test user, then record an event of it.

use serde_json::{Map, Value, json};

use crate::delivery::Mode;
use crate::delivery::encode::{Call, Encoded, JobRef, prepare};
use crate::delivery::operation::{Action, Attributes, Event, Kind, Operation};
use crate::delivery::refusal::Refusal;

/// The event's name.
const EVENT: &str = "load_test_event";

/// Which iteration of which virtual user; users count from 1, iterations from 0, as in k6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// The virtual user.
    pub user: usize,
    /// How many iterations it had before.
    pub iteration: u64,
}

/// The test user's id.
pub fn user_id(turn: Turn) -> String {
    format!("k6-load-{}-{}", turn.user, turn.iteration)
}

/// The identify call; `now_ms` is in ms since the Unix epoch.
pub fn identify(user: &str, run: &str, now_ms: u64) -> Result<Call, Refusal> {
    let map = attributes(user, now_ms);
    let attributes = Attributes {
        map: Some(&map),
        timestamp: None,
        created_at: i64::try_from(now_ms / 1_000).ok(),
    };
    call(user, Action::Identify(attributes), run, now_ms)
}

/// The track call.
pub fn track(user: &str, turn: Turn, run: &str, now_ms: u64) -> Result<Call, Refusal> {
    let body = event(turn);
    let event = Event {
        data: body.get("data").and_then(Value::as_object),
        body: &body,
        name: EVENT,
        kind: None,
        id: None,
        timestamp: None,
    };
    call(user, Action::Track(event), run, now_ms)
}

fn attributes(user: &str, now_ms: u64) -> Map<String, Value> {
    let email = format!("{user}@loadtest.example.com");
    Map::from_iter([
        ("email".to_owned(), email.into()),
        ("_load_test".to_owned(), true.into()),
        ("created_at".to_owned(), (now_ms / 1_000).into()),
    ])
}

fn event(turn: Turn) -> Map<String, Value> {
    let data = json!({"iteration": turn.iteration, "vu": turn.user});
    Map::from_iter([("name".to_owned(), EVENT.into()), ("data".to_owned(), data)])
}

/// One of the two as the data of a job, as the guide's producer writes it.
pub fn job(kind: Kind, user: &str, turn: Turn, now_ms: u64) -> String {
    let data = match kind {
        Kind::Identify => attributes(user, now_ms),
        Kind::Track => event(turn),
    };
    json!({"userId": user, "data": data, "enqueuedAt": now_ms}).to_string()
}

fn call(user: &str, action: Action<'_>, run: &str, now_ms: u64) -> Result<Call, Refusal> {
    let operation = Operation {
        user_id: user.into(),
        action,
        enqueued_at_ms: now_ms,
    };
    // The run stands in for a queue: an event of another run is never taken for a repetition.
    let job = JobRef {
        queue: run,
        id: user,
    };
    match prepare(&operation, Mode::Single, job)?.encoded {
        Encoded::Call(call) => Ok(call),
        Encoded::Item(_) => Err(Refusal::UnknownName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iteration_is_the_guides() {
        let turn = Turn {
            user: 3,
            iteration: 0,
        };
        let user = user_id(turn);
        let now = 1_700_000_000_500;
        let first = identify(&user, "run", now).unwrap();
        assert_eq!(first.path, "/api/v1/customers/k6-load-3-0");
        let body: Value = serde_json::from_slice(&first.body).unwrap();
        let email = "k6-load-3-0@loadtest.example.com";
        assert_eq!(
            body,
            json!({"email": email, "_load_test": true, "created_at": 1_700_000_000, "_timestamp": 1_700_000_000})
        );
        let second = track(&user, turn, "run", now).unwrap();
        let body: Value = serde_json::from_slice(&second.body).unwrap();
        assert_eq!(body["data"], json!({"iteration": 0, "vu": 3}));
        assert_eq!(body["name"], "load_test_event");
        let job: Value = serde_json::from_str(&job(Kind::Track, &user, turn, now)).unwrap();
        let data = json!({"name": "load_test_event", "data": {"iteration": 0, "vu": 3}});
        assert_eq!(
            job,
            json!({"userId": user, "data": data, "enqueuedAt": now})
        );
    }
}
