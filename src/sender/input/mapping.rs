//! Which column of a CSV file is which field of an operation, as a person says it.

use std::fmt;
use std::str::FromStr;

/// All that was said about the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// `FIELD=COLUMN`, in the order given.
    pub fields: Vec<Field>,
    /// The event that every line is; the lines need no `type` then.
    pub event: Option<String>,
}

/// One field and its column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub(super) target: Target,
    pub(super) column: String,
}

/// Where a cell goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `userId`, `type`, `event` or `enqueuedAt`.
    Known(&'static str),
    /// A member of the attributes, or of the event's data.
    Data(String, Cell),
}

/// What a cell of `data` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Text,
    Number,
    Boolean,
}

/// The fields that have a column of their own name where nothing else is said.
pub(super) const KNOWN: [&str; 4] = ["userId", "type", "event", "enqueuedAt"];

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, column) = text
            .split_once('=')
            .filter(|(field, column)| !field.is_empty() && !column.is_empty())
            .ok_or("write FIELD=COLUMN, for example userId=customer_id")?;
        let known = KNOWN.iter().find(|known| **known == field);
        let target = match (known, field.strip_prefix("data.")) {
            (Some(known), _) => Target::Known(known),
            (None, Some(name)) if !name.is_empty() => data(name),
            _ => {
                return Err(format!(
                    "{field:?} is no field: there are {} and data.NAME, data.NAME:number, data.NAME:boolean",
                    KNOWN.join(", ")
                ));
            }
        };
        Ok(Self {
            target,
            column: column.to_owned(),
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = &self.column;
        match &self.target {
            Target::Known(name) => write!(f, "{name}={column}"),
            Target::Data(name, Cell::Text) => write!(f, "data.{name}={column}"),
            Target::Data(name, Cell::Number) => write!(f, "data.{name}:number={column}"),
            Target::Data(name, Cell::Boolean) => write!(f, "data.{name}:boolean={column}"),
        }
    }
}

fn data(name: &str) -> Target {
    let (name, cell) = match name.rsplit_once(':') {
        Some((name, "number")) => (name, Cell::Number),
        Some((name, "boolean")) => (name, Cell::Boolean),
        _ => (name, Cell::Text),
    };
    Target::Data(name.to_owned(), cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_or_a_member_of_data_with_its_type() {
        for (text, target) in [
            ("userId=id", Target::Known("userId")),
            ("data.plan=id", Target::Data("plan".to_owned(), Cell::Text)),
            (
                "data.age:number=id",
                Target::Data("age".to_owned(), Cell::Number),
            ),
            (
                "data.a:b:boolean=id",
                Target::Data("a:b".to_owned(), Cell::Boolean),
            ),
        ] {
            let column = "id".to_owned();
            assert_eq!(text.parse(), Ok(Field { target, column }), "{text}");
        }
    }

    #[test]
    fn what_is_no_field_is_answered_with_those_there_are() {
        for text in ["userid=id", "data.=id", "=id", "userId=", "userId"] {
            let error = text.parse::<Field>().unwrap_err();
            assert!(error.contains("userId"), "{error}");
        }
    }
}
