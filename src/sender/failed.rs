//! The file of lines that were given up, each of which can be sent again as it is.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::SendError;
use super::state::{beside, unwritable};

/// Only its owner reads it: it holds what operations hold.
const MODE: u32 = 0o600;

/// The file, created when the first line comes.
#[derive(Debug)]
pub(super) struct FailedFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    bytes: u64,
}

impl FailedFile {
    /// Where the failed lines of `input` go.
    pub(super) fn path(input: &Path) -> PathBuf {
        beside(input, ".failed.jsonl")
    }

    /// Goes on after the first `bytes`: what follows was not noted in the state, and its lines
    /// are sent again.
    pub(super) fn open(path: PathBuf, bytes: u64) -> Result<Self, SendError> {
        let mut failed = Self {
            path,
            file: None,
            bytes,
        };
        if bytes > 0 || failed.path.exists() {
            failed.file()?;
        }
        Ok(failed)
    }

    /// Adds one: `line` is the operation, `event_id` the id under which it may have arrived,
    /// though nobody said so.
    pub(super) fn add(
        &mut self,
        mut line: Value,
        event_id: Option<String>,
        enqueued_at_ms: u64,
        error: &str,
    ) -> Result<(), SendError> {
        line["enqueuedAt"] = enqueued_at_ms.into();
        line["error"] = error.into();
        if let (Some(id), Some(data)) = (event_id, line["data"].as_object_mut()) {
            data.entry("id").or_insert(id.into());
        }
        let text = format!("{line}\n");
        let written = self.file()?.write_all(text.as_bytes());
        written.map_err(|error| unwritable(&self.path, error))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Puts everything onto the disk; the length of the file.
    pub(super) fn sync(&mut self) -> Result<u64, SendError> {
        if let Some(file) = &mut self.file {
            let synced = file.flush().and_then(|()| file.get_ref().sync_data());
            synced.map_err(|error| unwritable(&self.path, error))?;
        }
        Ok(self.bytes)
    }

    fn file(&mut self) -> Result<&mut BufWriter<File>, SendError> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let opened = open(&self.path, self.bytes);
            let (file, bytes) = opened.map_err(|error| unwritable(&self.path, error))?;
            self.bytes = bytes;
            file
        };
        Ok(self.file.insert(file))
    }
}

/// The file, cut off after `bytes`, and its length: less where somebody moved or emptied it.
fn open(path: &Path, bytes: u64) -> io::Result<(BufWriter<File>, u64)> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)?;
    let bytes = bytes.min(file.metadata()?.len());
    file.set_len(bytes)?;
    Ok((BufWriter::new(file), bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_state_does_not_know_of_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let line = || json!({"type": "track", "userId": "u", "data": {"name": "n"}});
        let mut failed = FailedFile::open(path.clone(), 0).unwrap();
        assert!(!path.exists());
        failed.add(line(), Some("id".to_owned()), 5, "no").unwrap();
        let bytes = failed.sync().unwrap();
        failed.add(line(), None, 6, "no").unwrap();
        failed.sync().unwrap();
        drop(failed);

        let mut failed = FailedFile::open(path.clone(), bytes).unwrap();
        failed.add(line(), None, 7, "again").unwrap();
        failed.sync().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["data"]["id"], "id");
        assert_eq!(
            (&lines[1]["enqueuedAt"], &lines[1]["error"]),
            (&json!(7), &json!("again"))
        );
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mut failed = FailedFile::open(path.clone(), 500).unwrap();
        failed.add(json!({"type": "track"}), None, 5, "no").unwrap();
        let bytes = failed.sync().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.len() as u64, bytes);
        assert!(text.starts_with('{'), "{text:?}");
    }
}
