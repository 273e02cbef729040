//! JSON lines: one object a line, blank lines between them.

use std::io::{self, BufRead, BufReader, Read};

use serde_json::Value;

use super::{BUFFER, MAX_LINE, Problem};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines of a file, one in memory at a time.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    text: Vec<u8>,
    line: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            text: Vec::new(),
            line: 0,
        }
    }

    /// Reads the next line that is not blank; `false` at the end.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.text.clear();
            if self.read_line()? == 0 {
                return Ok(false);
            }
            self.line += 1;
            if self.line == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
                self.text.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn value(&self) -> Result<Value, Problem> {
        if self.text.len() > MAX_LINE {
            return Err(Problem::TooLong);
        }
        serde_json::from_slice(&self.text).map_err(|_| Problem::NotJson)
    }

    /// Keeps no more of a line than it takes to see that it is too long.
    fn read_line(&mut self) -> io::Result<usize> {
        let most = MAX_LINE as u64 + 1;
        let read = (&mut self.reader)
            .take(most)
            .read_until(b'\n', &mut self.text)?;
        if self.text.len() > MAX_LINE && self.text.last() != Some(&b'\n') {
            self.reader.skip_until(b'\n')?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Vec<(u64, Result<Value, Problem>)> {
        let mut lines = Lines::new(text.as_bytes());
        let mut read = Vec::new();
        while lines.advance().unwrap() {
            read.push((lines.line(), lines.value()));
        }
        read
    }

    #[test]
    fn blank_lines_are_counted_and_passed_over() {
        let text = "\u{feff}{\"a\":1}\r\n\n  \n{\"a\":2}\nnot json\n{\"a\":3}";
        let expected = [
            (1, Ok(json!({"a": 1}))),
            (4, Ok(json!({"a": 2}))),
            (5, Err(Problem::NotJson)),
            (6, Ok(json!({"a": 3}))),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_line_that_is_too_long_does_not_hide_the_next() {
        let text = format!("\"{}\"\n1\n", "x".repeat(3 * MAX_LINE));
        assert_eq!(read(&text), [(1, Err(Problem::TooLong)), (2, Ok(json!(1)))]);
    }
}
