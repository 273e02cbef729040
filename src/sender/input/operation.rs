//! From a line's JSON to an operation.

use serde_json::Value;

use super::Problem;
use crate::delivery::operation::Operation;

/// What a line may hold. `error` is what we write into the file of failed lines.
const FIELDS: [&str; 5] = ["type", "userId", "data", "enqueuedAt", "error"];

/// Reads `{type, userId, data, enqueuedAt}`; `started_ms` stands in for a missing `enqueuedAt`.
pub(in crate::sender) fn read(line: &Value, started_ms: u64) -> Result<Operation<'_>, Problem> {
    let object = line.as_object().ok_or(Problem::NotObject)?;
    if let Some(unknown) = object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(Problem::UnknownField(unknown.chars().take(100).collect()));
    }
    let kind = object.get("type").and_then(Value::as_str);
    let Some(kind @ ("identify" | "track")) = kind else {
        return Err(Problem::Type);
    };
    let nobody = |id: &Value| id.is_null() || id.as_str().is_some_and(str::is_empty);
    if object.get("userId").is_none_or(nobody) {
        return Err(Problem::UserIdMissing);
    }
    Ok(Operation::read(kind, line, started_ms)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::delivery::refusal::Refusal;

    #[test]
    fn a_line_is_what_a_job_is_with_its_type() {
        let line = json!({"type": "track", "userId": 7, "data": {"name": "n"}, "error": "old"});
        let operation = read(&line, 5).unwrap();
        assert_eq!((&*operation.user_id, operation.enqueued_at_ms), ("7", 5));
    }

    #[test]
    fn what_is_wrong_is_said_by_its_field() {
        let unknown = Problem::UnknownField("userid".to_owned());
        for (line, problem) in [
            (json!([]), Problem::NotObject),
            (json!({"type": "track", "userid": "u"}), unknown),
            (json!({"userId": "u"}), Problem::Type),
            (json!({"type": "delete", "userId": "u"}), Problem::Type),
            (json!({"type": "identify"}), Problem::UserIdMissing),
            (
                json!({"type": "identify", "userId": ""}),
                Problem::UserIdMissing,
            ),
            (
                json!({"type": "track", "userId": "u", "data": {}}),
                Problem::Refused(Refusal::EventNameMissing),
            ),
        ] {
            assert_eq!(read(&line, 0), Err(problem), "{line}");
        }
    }
}
