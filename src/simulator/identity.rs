//! Pure: how a request names a person.

use serde_json::{Map, Value};

use super::validation::{self, Invalid};

/// One name of a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    Id(String),
    /// In small letters: Customer.io compares e-mail addresses without case.
    Email(String),
    Phone(String),
    /// Customer.io's own id, without the `cio_` that v1 paths put before it.
    CioId(String),
    /// Not in the specification, but sent with events by Segment and `RudderStack`, and accepted.
    Anonymous(String),
}

impl Identity {
    /// From a v1 path, where the shape of the value decides the kind.
    pub(super) fn by_shape(text: &str) -> Self {
        match text.strip_prefix("cio_") {
            Some(id) if !id.is_empty() => Self::CioId(id.to_owned()),
            _ if is_email(text) => Self::email(text),
            _ => Self::Id(text.to_owned()),
        }
    }

    /// An e-mail address, however it is written.
    pub(super) fn email(text: &str) -> Self {
        Self::Email(text.to_lowercase())
    }

    /// From a v2 operation: exactly one identifier, of a known kind.
    pub(super) fn from_identifiers(given: Option<&Value>) -> Result<Self, Invalid> {
        let wrong = || {
            let message = "exactly one of id, email, phone, cio_id is required";
            Invalid::new("required", "identifiers", message)
        };
        let given = given.and_then(Value::as_object).ok_or_else(wrong)?;
        match single(given) {
            Some((kind, value)) => Self::of_kind(kind, value)?.ok_or_else(wrong),
            None => Err(wrong()),
        }
    }

    /// From one entry of a list whose kind is said beside it; nothing where it does not fit.
    pub(super) fn listed(kind: &str, value: &Value) -> Option<Self> {
        Self::of_kind(kind, value).ok().flatten()
    }

    fn of_kind(kind: &str, value: &Value) -> Result<Option<Self>, Invalid> {
        let make: fn(&str) -> Self = match kind {
            "id" => |text| Self::Id(text.to_owned()),
            "email" => Self::email,
            "phone" => |text| Self::Phone(text.to_owned()),
            "cio_id" => |text| Self::CioId(text.to_owned()),
            "anonymous_id" => |text| Self::Anonymous(text.to_owned()),
            _ => return Ok(None),
        };
        let field = format!("identifiers.{kind}");
        let text = validation::identifier(value, &field)?;
        if kind == "phone" && !is_e164(text) {
            let message = "phone must be in E.164 format, for example +14155552671";
            return Err(Invalid::new("invalid", &field, message));
        }
        Ok(Some(make(text)))
    }

    /// As a v1 path would name it, for people to read.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Id(text) | Self::Email(text) | Self::Phone(text) | Self::Anonymous(text) => {
                text.clone()
            }
            Self::CioId(text) => format!("cio_{text}"),
        }
    }
}

fn single(given: &Map<String, Value>) -> Option<(&String, &Value)> {
    let mut fields = given.iter();
    fields.next().filter(|_| fields.next().is_none())
}

/// Something, one `@`, a host with a dot inside; no white space.
fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && c != '@';
    !local.is_empty()
        && text.chars().filter(|c| *c != '@').all(plain)
        && host.chars().all(plain)
        && host.trim_matches('.').contains('.')
}

fn is_e164(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shape_of_a_path_segment_decides_what_it_names() {
        let id = |text: &str| Identity::Id(text.to_owned());
        let email = |text: &str| Identity::Email(text.to_owned());
        let cases = [
            ("u1", id("u1")),
            ("42", id("42")),
            ("a/b", id("a/b")),
            ("cio_03000001", Identity::CioId("03000001".to_owned())),
            ("cio_", id("cio_")),
            ("Ann@Example.COM", email("ann@example.com")),
            ("a+b@x.io", email("a+b@x.io")),
            ("@x.io", id("@x.io")),
            ("a@x", id("a@x")),
            ("a@@x.io", id("a@@x.io")),
            ("a b@x.io", id("a b@x.io")),
            ("", id("")),
        ];
        for (text, expected) in cases {
            assert_eq!(Identity::by_shape(text), expected, "{text}");
        }
    }

    #[test]
    fn exactly_one_identifier_of_a_known_kind_is_taken() {
        let good = [
            (json!({"id": "a@b.io"}), "a@b.io"),
            (json!({"email": "A@B.io"}), "a@b.io"),
            (json!({"phone": "+14155552671"}), "+14155552671"),
            (json!({"cio_id": "03"}), "cio_03"),
            (json!({"anonymous_id": "x"}), "x"),
        ];
        for (given, shown) in good {
            let found = Identity::from_identifiers(Some(&given)).unwrap();
            assert_eq!(found.shown(), shown, "{given}");
        }
        let bad = [
            (json!({}), "identifiers"),
            (json!("u"), "identifiers"),
            (json!({"id": "u", "email": "a@b.io"}), "identifiers"),
            (json!({"name": "u"}), "identifiers"),
            (json!({"id": 5}), "identifiers.id"),
            (json!({"id": ""}), "identifiers.id"),
            (json!({"id": "u".repeat(151)}), "identifiers.id"),
            (json!({"phone": "0155"}), "identifiers.phone"),
        ];
        for (given, field) in bad {
            let error = Identity::from_identifiers(Some(&given)).unwrap_err();
            assert_eq!(error.field, field, "{given}");
        }
        assert!(Identity::from_identifiers(None).is_err());
    }
}
