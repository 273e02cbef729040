//! What a run has done, in a file beside the input: enough to go on after a crash.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::SendError;
use super::input::{InputFile, unreadable};
use super::ranges::Ranges;

const VERSION: u32 = 2;
const BUFFER: usize = 64 * 1024;

/// What every version's state begins with.
#[derive(Deserialize)]
struct Written {
    version: u32,
}

/// A run so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    /// Part of every event's id; its time stands in for a line's missing `enqueuedAt`.
    run: String,
    /// Bytes of the file that were checked; what follows is of no concern.
    pub(super) length: u64,
    /// Of these bytes, of how it is read, and of the workspace.
    fingerprint: String,
    /// Operations in the file.
    pub(super) operations: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    /// The length of the file of failed lines that goes with these counts.
    pub(super) failed_bytes: u64,
    /// Operations that are done with, by number.
    pub(super) done: Ranges,
}

impl State {
    /// A run that begins now.
    pub(super) fn new(now_ms: u64, fingerprint: String, length: u64, operations: u64) -> Self {
        Self {
            version: VERSION,
            run: Ulid::from_parts(now_ms, rand::random()).to_string(),
            length,
            fingerprint,
            operations,
            succeeded: 0,
            failed: 0,
            failed_bytes: 0,
            done: Ranges::default(),
        }
    }

    /// Where the state of a run over `input` is.
    pub(super) fn path(input: &Path) -> PathBuf {
        beside(input, ".cio-state")
    }

    /// Reads it; nothing where there is none.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, SendError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(path, error).into()),
        };
        let wrong = |message: String| SendError::State {
            path: path.to_owned(),
            message,
        };
        let Written { version } =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if version != VERSION {
            return Err(SendError::OtherVersion(path.to_owned()));
        }
        let state: Self =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        if state.run.parse::<Ulid>().is_err() {
            return Err(wrong("its run has no id".to_owned()));
        }
        Ok(Some(state))
    }

    /// Replaces the file, so that it is whole at any moment.
    pub(super) fn save(&self, path: &Path) -> Result<(), SendError> {
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        text.and_then(|text| replace(path, &text))
            .map_err(|error| unwritable(path, error))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.done.count() >= self.operations
    }

    /// Whether it is of this file, mapping and workspace.
    pub(super) fn is_of(&self, fingerprint: &str) -> bool {
        self.fingerprint == fingerprint
    }

    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// When the run began, in ms since the Unix epoch.
    pub(super) fn started_ms(&self) -> u64 {
        self.run.parse::<Ulid>().map_or(0, |run| run.timestamp_ms())
    }
}

/// `path` with `ending` behind its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

pub(super) fn unwritable(path: &Path, error: io::Error) -> SendError {
    SendError::Write {
        path: path.to_owned(),
        error,
    }
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let new = beside(path, ".new");
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Tells the bytes that are meant of the file, how they are read and the workspace from any other.
pub(super) fn fingerprint(input: &InputFile, workspace: &str) -> Result<String, SendError> {
    let failed = |error| unreadable(&input.path, error);
    let mut file = input.bytes()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    hash.update(format!("{:?} {workspace}", input.format));
    let mut text = String::new();
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::input::{Format, Mapping};

    #[test]
    fn what_is_saved_is_loaded_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = State::path(&folder.path().join("a.jsonl"));
        assert!(State::load(&path).unwrap().is_none());
        let mut state = State::new(1_700_000_000_123, "f".to_owned(), 9, 3);
        state.done.insert(2);
        state.save(&path).unwrap();
        let loaded = State::load(&path).unwrap().unwrap();
        assert_eq!(loaded.started_ms(), 1_700_000_000_123);
        assert_eq!((loaded.run(), &loaded.done), (state.run(), &state.done));
        assert!(!loaded.is_finished() && loaded.is_of("f") && !loaded.is_of("g"));
        fs::write(&path, "{}").unwrap();
        assert!(matches!(State::load(&path), Err(SendError::State { .. })));
        fs::write(&path, r#"{"version": 1, "run": "of before"}"#).unwrap();
        assert!(matches!(
            State::load(&path),
            Err(SendError::OtherVersion(_))
        ));
    }

    #[test]
    fn any_change_of_what_is_meant_is_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let of = |text: &str, format, workspace| {
            fs::write(&path, text).unwrap();
            let input = InputFile {
                path: path.clone(),
                format,
                length: 1,
            };
            fingerprint(&input, workspace).unwrap()
        };
        let first = of("a", Format::JsonLines, "w");
        assert_eq!(first, of("a", Format::JsonLines, "w"));
        assert_eq!(first, of("ab", Format::JsonLines, "w"));
        let csv = || Format::Csv(Mapping::default());
        for other in [
            of("b", Format::JsonLines, "w"),
            of("", Format::JsonLines, "w"),
            of("a", csv(), "w"),
            of("a", Format::JsonLines, "v"),
        ] {
            assert_ne!(first, other);
        }
    }
}
