//! The users that a run creates, each noted before its first request, so that they can be removed
//! after a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be written.
    #[error(
        "cannot write the journal {path}: {error}; set XDG_STATE_HOME to a folder that is writable"
    )]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read the journal {path}: {error}; the folder has one file for each run")]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Its first line: where the users are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The run.
    pub run: String,
    /// The workspace.
    pub site_id: String,
    /// The Track API's root.
    pub url: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    user: String,
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

/// Where the journal of `run` is, below the state folder.
pub fn path(state: &Path, run: &str) -> PathBuf {
    folder(state).join(format!("{run}.jsonl"))
}

/// Where all are, below the state folder.
pub fn folder(state: &Path) -> PathBuf {
    state.join("cio/runs")
}

impl Journal {
    fn create(path: PathBuf, header: &Header) -> Result<Self, JournalError> {
        let opened = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let mut file = OpenOptions::new()
                .create_new(true)
                .append(true)
                .open(&path)?;
            writeln!(file, "{}", serde_json::to_string(header)?)?;
            file.sync_data()?;
            Ok(file)
        };
        match opened() {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(JournalError::Write { path, error }),
        }
    }

    /// Begins one, or goes on with the one that this run has begun.
    pub fn begin(path: PathBuf, header: &Header) -> Result<Self, JournalError> {
        if !read(&path).is_ok_and(|(begun, _)| begun == *header) {
            return Self::create(path, header);
        }
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(JournalError::Write { path, error }),
        }
    }

    /// Notes a user. The system has it when this returns: it outlives the process.
    pub fn note(&mut self, user: &str) -> Result<(), JournalError> {
        let line = format!("{{\"user\":\"{user}\"}}\n");
        self.file
            .write_all(line.as_bytes())
            .map_err(|error| JournalError::Write {
                path: self.path.clone(),
                error,
            })
    }
}

/// The users of a journal, read one by one; a last line that a crash cut off is left out, for its user was never
/// created.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
}

impl Iterator for Users {
    type Item = Result<String, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.lines.next()? {
                Ok(line) => {
                    if let Ok(Line { user }) = serde_json::from_str(&line) {
                        return Some(Ok(user));
                    }
                }
                Err(error) => return Some(Err(unreadable(&self.path, error))),
            }
        }
    }
}

/// Opens a journal.
pub fn read(path: &Path) -> Result<(Header, Users), JournalError> {
    let failed = |error| unreadable(path, error);
    let mut lines = BufReader::new(File::open(path).map_err(failed)?).lines();
    let first = lines.next().transpose().map_err(failed)?;
    let header = serde_json::from_str(&first.unwrap_or_default());
    let header = header.map_err(|error| failed(error.into()))?;
    let path = path.to_owned();
    Ok((header, Users { path, lines }))
}

/// How many users a journal names.
pub fn count(path: &Path) -> Result<usize, JournalError> {
    let (_, mut users) = read(path)?;
    users.try_fold(0, |count, user| user.map(|_| count + 1))
}

fn unreadable(path: &Path, error: io::Error) -> JournalError {
    JournalError::Read {
        path: path.to_owned(),
        error,
    }
}

/// A run that has a journal.
#[derive(Debug)]
pub struct Listed {
    /// Its id.
    pub run: Ulid,
    /// When it began.
    pub began: Timestamp,
    /// Where it was, and how many users its journal names.
    pub found: Result<(Header, usize), JournalError>,
}

/// The runs that have a journal in `folder`, the oldest first; none where there is no folder.
pub fn list(folder: &Path) -> Vec<Listed> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<Listed> = entries.filter_map(|it| listed(&it.path())).collect();
    runs.sort_by_key(|it| it.run);
    runs
}

fn listed(path: &Path) -> Option<Listed> {
    let run: Ulid = path.file_stem()?.to_str()?.parse().ok()?;
    let ms = i64::try_from(run.timestamp_ms()).ok()?;
    let found = || Ok((read(path)?.0, count(path)?));
    Some(Listed {
        run,
        began: Timestamp::from_second(ms / 1000).ok()?,
        found: found(),
    })
}

/// Ends one whose users are removed.
pub fn remove(path: &Path) -> Result<(), JournalError> {
    fs::remove_file(path).map_err(|error| JournalError::Write {
        path: path.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read_again_but_for_a_line_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), "r");
        let header = Header {
            run: "r".into(),
            site_id: "s".into(),
            url: "u".into(),
        };
        let mut journal = Journal::create(path.clone(), &header).unwrap();
        journal.note("k6-load-1-0").unwrap();
        journal.file.write_all(b"{\"user\":\"k6-l").unwrap();
        let users = || -> Vec<String> {
            let (_, users) = read(&path).unwrap();
            users.map(Result::unwrap).collect()
        };
        assert_eq!(read(&path).unwrap().0, header);
        assert_eq!(
            (users(), count(&path).unwrap()),
            (vec!["k6-load-1-0".to_owned()], 1)
        );
        let other = Header {
            run: "other".into(),
            ..header.clone()
        };
        assert!(Journal::begin(path.clone(), &other).is_err());
        let mut again = Journal::begin(path.clone(), &header).unwrap();
        again.file.write_all(b"\n").unwrap();
        again.note("k6-load-2-0").unwrap();
        assert_eq!(users(), ["k6-load-1-0", "k6-load-2-0"]);
        remove(&path).unwrap();
        assert!(read(&path).is_err());
    }
}
