//! A mapping made fast on a heading: from a record's cells to an operation as JSON.

use csv::ByteRecord;
use serde_json::{Map, Number, Value, json};

use super::mapping::{Cell, KNOWN, Mapping, Target};
use super::{InputError, Problem};

/// Which cell is what.
#[derive(Debug, Default)]
pub(super) struct Columns {
    heading: Vec<String>,
    /// The cells of the fields in [`KNOWN`].
    known: [Option<usize>; KNOWN.len()],
    event: Option<String>,
    data: Vec<(String, usize, Cell)>,
}

const USER_ID: usize = 0;
const TYPE: usize = 1;
const EVENT: usize = 2;
const ENQUEUED_AT: usize = 3;

impl Columns {
    /// Finds the mapping's columns. Where it names none for `data`, all that are left go there.
    pub(super) fn find(mapping: &Mapping, heading: Vec<String>) -> Result<Self, InputError> {
        let mut columns = Self {
            event: mapping.event.clone(),
            heading,
            ..Self::default()
        };
        for field in &mapping.fields {
            match &field.target {
                Target::Known(name) => {
                    let at = columns.index(name, &field.column)?;
                    let slots = columns.known.iter_mut().zip(KNOWN);
                    slots
                        .filter(|(_, known)| known == name)
                        .for_each(|(slot, _)| *slot = Some(at));
                }
                Target::Data(name, cell) => {
                    let at = columns.index(&format!("data.{name}"), &field.column)?;
                    columns.data.push((name.clone(), at, *cell));
                }
            }
        }
        columns.find_by_name();
        if columns.known[USER_ID].is_none() {
            columns.index("userId", "userId")?;
        }
        Ok(columns)
    }

    fn find_by_name(&mut self) {
        for (slot, name) in KNOWN.iter().enumerate() {
            let replaced = slot == EVENT && self.event.is_some();
            if self.known[slot].is_none() && !replaced {
                self.known[slot] = self.heading.iter().position(|column| column == name);
            }
        }
        if self.data.is_empty() {
            let left = self.heading.iter().enumerate();
            let left = left.filter(|(at, _)| !self.known.contains(&Some(*at)));
            self.data = left
                .map(|(at, column)| (column.clone(), at, Cell::Text))
                .collect();
        }
    }

    fn index(&self, field: &str, column: &str) -> Result<usize, InputError> {
        let at = self.heading.iter().position(|other| other == column);
        at.ok_or_else(|| InputError::NoColumn {
            field: field.to_owned(),
            column: column.to_owned(),
            columns: self.heading.len(),
            known: known(&self.heading),
        })
    }

    /// The operation that a record is. Empty cells are as if they were not there.
    pub(super) fn value(&self, record: &ByteRecord) -> Result<Value, Problem> {
        if record.len() != self.heading.len() {
            return Err(Problem::Cells {
                expected: self.heading.len(),
                found: record.len(),
            });
        }
        let known = |slot: usize| match self.known[slot] {
            Some(at) => self.text(record, at),
            None => Ok(None),
        };
        let event = self
            .event
            .as_deref()
            .map_or_else(|| known(EVENT), |it| Ok(Some(it)))?;
        let has_event = self.event.is_some() || self.known[EVENT].is_some();
        let kind = match self.known[TYPE] {
            Some(_) => known(TYPE)?.unwrap_or_default(),
            None if has_event => "track",
            None => "identify",
        };
        let mut data = Value::Object(self.data(record)?);
        if kind == "track" {
            data = json!({"name": event, "data": data});
        }
        let mut operation = json!({"type": kind, "userId": known(USER_ID)?, "data": data});
        if let Some(at) = known(ENQUEUED_AT)? {
            operation["enqueuedAt"] = number(at).map_or_else(|| at.into(), Value::from);
        }
        Ok(operation)
    }

    fn data(&self, record: &ByteRecord) -> Result<Map<String, Value>, Problem> {
        let mut data = Map::new();
        for (name, at, cell) in &self.data {
            let Some(text) = self.text(record, *at)? else {
                continue;
            };
            let wrong = |wanted| Problem::Cell {
                column: self.heading[*at].clone(),
                wanted,
            };
            let value = match cell {
                Cell::Text => text.into(),
                Cell::Number => number(text).ok_or_else(|| wrong("number"))?.into(),
                Cell::Boolean => boolean(text).ok_or_else(|| wrong("boolean"))?.into(),
            };
            data.insert(name.clone(), value);
        }
        Ok(data)
    }

    fn text<'a>(&self, record: &'a ByteRecord, at: usize) -> Result<Option<&'a str>, Problem> {
        let cell = record.get(at).unwrap_or_default();
        let text =
            std::str::from_utf8(cell).map_err(|_| Problem::NotUtf8(self.heading[at].clone()))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

/// The columns of `heading` that are called as a field, counted from 1.
fn known(heading: &[String]) -> String {
    let named = heading.iter().zip(1..);
    let named = named.filter(|(name, _)| KNOWN.contains(&name.as_str()));
    let named: Vec<_> = named.map(|(name, at)| format!("{at} is {name}")).collect();
    if named.is_empty() {
        return format!(", none called {}", KNOWN.join(", "));
    }
    format!(": {}", named.join(", "))
}

fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text.trim()).ok()
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        heading: &str,
        maps: &[&str],
        event: Option<&str>,
        record: &str,
    ) -> Result<Value, String> {
        let mapping = Mapping {
            fields: maps.iter().map(|map| map.parse().unwrap()).collect(),
            event: event.map(str::to_owned),
        };
        let heading = heading.split(',').map(str::to_owned).collect();
        let columns = Columns::find(&mapping, heading).map_err(|error| error.to_string())?;
        let record: ByteRecord = record.split(',').map(str::as_bytes).collect();
        columns
            .value(&record)
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn columns_become_attributes_or_an_event() {
        for (heading, maps, event, record, expected) in [
            (
                "userId,email,plan",
                &[][..],
                None,
                "u,a@b.c,",
                json!({"type": "identify", "userId": "u", "data": {"email": "a@b.c"}}),
            ),
            (
                "id,age,vip,note",
                &["userId=id", "data.age:number=age", "data.vip:boolean=vip"],
                None,
                "007,41.5,yes,x",
                json!({"type": "identify", "userId": "007", "data": {"age": 41.5, "vip": true}}),
            ),
            (
                "userId,event,total",
                &[],
                Some("bought"),
                "u,fair,3",
                json!({"type": "track", "userId": "u",
                    "data": {"name": "bought", "data": {"event": "fair", "total": "3"}}}),
            ),
            (
                "userId,what,enqueuedAt",
                &["event=what"],
                None,
                "u,left,1700000000000",
                json!({"type": "track", "userId": "u", "enqueuedAt": 1_700_000_000_000_u64,
                    "data": {"name": "left", "data": {}}}),
            ),
            (
                "userId,type,event,enqueuedAt",
                &[],
                None,
                "u,identify,,2026-01-01T00:00:00Z",
                json!({"type": "identify", "userId": "u", "data": {},
                    "enqueuedAt": "2026-01-01T00:00:00Z"}),
            ),
        ] {
            assert_eq!(
                read(heading, maps, event, record),
                Ok(expected),
                "{heading}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (heading, maps, record, part) in [
            (
                "id,age",
                &[][..],
                "u,1",
                "has 2 columns, none called userId, type, event, enqueuedAt",
            ),
            (
                "ann,a@b.c,event",
                &[],
                "u,1,2",
                "userId has no column \"userId\": the first line, which is the heading, has 3 columns: 3 is event",
            ),
            (
                "userId,age",
                &["data.age=old"],
                "u,1",
                "data.age has no column \"old\"",
            ),
            (
                "userId,age",
                &["data.age:number=age"],
                "u,many",
                "column \"age\" is no number",
            ),
            (
                "userId,vip",
                &["data.vip:boolean=vip"],
                "u,2",
                "column \"vip\" is no boolean",
            ),
            ("userId,age", &[], "u", "1 cells where the heading has 2"),
        ] {
            let error = read(heading, maps, None, record).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
