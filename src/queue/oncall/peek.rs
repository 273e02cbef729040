//! Single jobs, to be looked at.

use redis::Script;
use serde::Serialize;
use serde_json::Value;

use super::redact::redacted;
use crate::queue::QueueError;
use crate::queue::connection::Redis;
use crate::queue::job::loggable_id;
use crate::queue::jobs::on_queue;
use crate::queue::names::QueueKeys;

const SCRIPT: &str = concat!(include_str!("../jobs/common.lua"), include_str!("peek.lua"));
/// Columns of a row of `peek.lua`.
const COLUMNS: usize = 14;

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one with this id.
    Id(String),
    /// So many in a state (BullMQ's name of it): those that are taken next, or finished last.
    State(&'static str, usize),
}

/// A job as BullMQ keeps it; times are in ms since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peeked {
    /// Its id; a custom one is a hash while the data is hidden.
    pub id: String,
    /// BullMQ's name of its state.
    pub state: String,
    /// `identify` or `track`.
    pub name: String,
    /// When it was added, by its producer's clock.
    pub timestamp: Option<u64>,
    /// How long it waits in the delayed set.
    pub delay: Option<u64>,
    /// 0 is none, and comes first.
    pub priority: Option<u64>,
    /// Runs begun.
    pub attempts_started: u64,
    /// Runs that ended.
    pub attempts_made: u64,
    /// How often its worker vanished.
    pub stalled: u64,
    /// When the last run began.
    pub processed_on: Option<u64>,
    /// When it was completed or failed.
    pub finished_on: Option<u64>,
    /// Why it failed, or why its last attempt did; replaced by its type while the data is hidden.
    pub failed_reason: Option<String>,
    /// Its options, in BullMQ's names.
    pub opts: Value,
    /// Its data; values are replaced by their types while the data is hidden.
    pub data: Value,
}

type Row = Vec<Option<Vec<u8>>>;

/// Reads jobs; changes nothing. Without `show_data` nothing of a person is in the answer.
///
/// # Errors
/// When Redis cannot be reached or does not answer in time.
pub async fn peek(
    redis: &Redis,
    keys: &QueueKeys,
    which: &Which,
    show_data: bool,
) -> Result<Vec<Peeked>, QueueError> {
    let script = Script::new(SCRIPT);
    let mut invocation = on_queue(&script, keys);
    match which {
        Which::Id(id) => invocation.arg("id").arg(id),
        Which::State(state, count) => invocation.arg(state).arg(count),
    };
    let rows: Vec<Row> = redis.run(&invocation).await?;
    Ok(rows.into_iter().map(|row| read(row, show_data)).collect())
}

fn read(mut row: Row, show_data: bool) -> Peeked {
    row.resize(COLUMNS, None);
    let text = |at: usize| {
        let bytes = row[at].as_deref()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    };
    let number = |at: usize| text(at)?.parse().ok();
    // What is not JSON is shown as the text that it is.
    let json = |at: usize| {
        text(at).map_or(Value::Null, |text| {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        })
    };
    let id = text(0).unwrap_or_default();
    Peeked {
        id: if show_data {
            id
        } else {
            loggable_id(&id).into_owned()
        },
        state: text(1).unwrap_or_default(),
        name: text(2).unwrap_or_default(),
        data: if show_data {
            json(3)
        } else {
            redacted(&json(3))
        },
        opts: if show_data {
            json(4)
        } else {
            without_ids(json(4))
        },
        timestamp: number(5),
        delay: number(6),
        priority: number(7),
        processed_on: number(8),
        finished_on: number(9),
        // Another worker's may quote the data.
        failed_reason: text(10).map(|reason| shown(reason, show_data)),
        attempts_made: number(11).unwrap_or(0),
        attempts_started: number(12).unwrap_or(0),
        stalled: number(13).unwrap_or(0),
    }
}

fn shown(text: String, show: bool) -> String {
    if show { text } else { "<string>".to_owned() }
}

/// Options without those that hold ids of the producer's making.
fn without_ids(mut opts: Value) -> Value {
    if let Some(opts) = opts.as_object_mut() {
        for name in ["jobId", "de", "parent", "tm"] {
            if let Some(value) = opts.get_mut(name) {
                *value = redacted(value);
            }
        }
    }
    opts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_a_person_is_shown_unless_asked_for() {
        let row = || {
            [
                "a@example.com",
                "failed",
                "identify",
                r#"{"userId":"a@example.com","data":{"age":7}}"#,
                r#"{"jobId":"a@example.com","attempts":5}"#,
                "1000",
                "0",
                "0",
                "1100",
                "1200",
                "a@example.com has no address",
            ]
            .map(|text| Some(text.as_bytes().to_owned()))
            .to_vec()
        };
        let hidden = read(row(), false);
        assert!(
            !serde_json::to_string(&hidden)
                .unwrap()
                .contains("example.com")
        );
        assert_eq!(hidden.failed_reason.as_deref(), Some("<string>"));
        assert_eq!(hidden.opts["attempts"], 5);
        assert_eq!(hidden.timestamp, Some(1000));
        let shown = read(row(), true);
        assert_eq!(shown.id, "a@example.com");
        let reason = "a@example.com has no address";
        assert_eq!(shown.failed_reason.as_deref(), Some(reason));
        assert_eq!(shown.data["data"], json!({"age": 7}));
    }

    #[test]
    fn data_that_is_not_json_is_text() {
        let row = vec![Some(b"7".to_vec()), None, None, Some(b"{broken".to_vec())];
        assert_eq!(read(row.clone(), true).data, json!("{broken"));
        assert_eq!(read(row, false).data, json!("<string>"));
    }
}
