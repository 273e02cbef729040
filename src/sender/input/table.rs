//! CSV: records under a heading, one in memory at a time.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{ByteRecord, ReaderBuilder};
use serde_json::Value;

use super::columns::Columns;
use super::mapping::Mapping;
use super::{BUFFER, InputError, MAX_LINE, Problem};

/// A CSV file.
#[derive(Debug)]
pub(super) struct Table<R> {
    reader: csv::Reader<Bounded<R>>,
    record: ByteRecord,
    /// What may still be read for the record under way.
    left: Arc<AtomicUsize>,
    columns: Columns,
}

impl<R: Read> Table<R> {
    /// Reads nothing but the heading.
    pub(super) fn open(inner: R) -> io::Result<Self> {
        let left = Arc::new(AtomicUsize::new(MAX_LINE));
        let bounded = Bounded {
            inner,
            left: Arc::clone(&left),
        };
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .buffer_capacity(BUFFER)
            .from_reader(bounded);
        reader.byte_headers().map_err(io_error)?;
        Ok(Self {
            reader,
            record: ByteRecord::new(),
            left,
            columns: Columns::default(),
        })
    }

    /// Says which column is what.
    pub(super) fn map(&mut self, mapping: &Mapping) -> Result<(), InputError> {
        let heading = self.reader.byte_headers().ok().into_iter().flatten();
        let heading = heading.map(|cell| String::from_utf8_lossy(cell).into_owned());
        self.columns = Columns::find(mapping, heading.collect())?;
        Ok(())
    }

    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.left.store(MAX_LINE, Ordering::Relaxed);
        self.reader
            .read_byte_record(&mut self.record)
            .map_err(io_error)
    }

    pub(super) fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    pub(super) fn value(&self) -> Result<Value, Problem> {
        self.columns.value(&self.record)
    }
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// A quote that is never closed makes the rest of the file one record: this ends it.
#[derive(Debug)]
struct Bounded<R> {
    inner: R,
    left: Arc<AtomicUsize>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            let message =
                format!("a record is longer than {MAX_LINE} bytes: is a quote not closed?");
            return Err(io::Error::other(message));
        }
        let read = self.inner.read(buffer)?;
        self.left
            .store(left.saturating_sub(read), Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(text: &str) -> Table<&[u8]> {
        let mut table = Table::open(text.as_bytes()).unwrap();
        table.map(&Mapping::default()).unwrap();
        table
    }

    #[test]
    fn records_may_span_lines_and_know_where_they_begin() {
        let mut table = open("\u{feff}userId,note\nu,\"a\nb\"\nv,c\n");
        let mut read = Vec::new();
        while table.advance().unwrap() {
            read.push((table.line(), table.value().unwrap()["data"]["note"].clone()));
        }
        assert_eq!(read, [(2, json!("a\nb")), (4, json!("c"))]);
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_the_reading() {
        let text = format!("userId,note\nu,\"{}", "x".repeat(3 * MAX_LINE));
        let error = open(&text).advance().unwrap_err();
        assert!(error.to_string().contains("quote"), "{error}");
    }
}
