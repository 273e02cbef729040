//! Why a run ended without having done everything.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::input::InputError;
use crate::delivery::credentials::CredentialsError;
use crate::delivery::reason::Reason;
use crate::queue::QueueError;

/// Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The file could be read at first. What was done until then is the caller's to say.
    #[error("{0}")]
    ReadOn(InputError),
    /// Some lines are wrong; nothing was sent or added.
    #[error("lines that are wrong: {0}; nothing of the file was used")]
    Invalid(u64),
    /// There are no credentials.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// Another process is at the same file.
    #[error("another cio send is at work on {0}: wait for it")]
    Busy(PathBuf),
    /// A run was begun and not finished.
    #[error(
        "{0} is of a run that is not finished: --resume goes on with it; remove the file to send everything anew"
    )]
    Unfinished(PathBuf),
    /// The file that failed lines go to holds some already.
    #[error("{0} holds lines that failed before: send that file, or move it away")]
    FailedBefore(PathBuf),
    /// The state is not of this file.
    #[error(
        "{0} is of another file, mapping or workspace than this one: use those the run began with, or remove it"
    )]
    Changed(PathBuf),
    /// The file was written to while it was sent.
    #[error(
        "line {0} is not what it was when it was checked: do not change the file while it is sent"
    )]
    ChangedMeanwhile(u64),
    /// An earlier or a later program wrote the state.
    #[error(
        "another version of cio wrote {0}: go on with that one, or remove it and begin anew, which sends what is \
         done a second time"
    )]
    OtherVersion(PathBuf),
    /// The state cannot be understood.
    #[error("{path} is no state of cio send: {message}")]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {error}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The system's certificates cannot be read.
    #[error("read the system's certificates: {0}")]
    Certificates(io::Error),
    /// A metric cannot be registered.
    #[error("register metrics: {0}")]
    Register(#[from] prometheus::Error),
    /// Customer.io takes nothing from us.
    #[error("{0}: check CUSTOMERIO_SITE_ID, CUSTOMERIO_TRACK_API_KEY and CUSTOMERIO_REGION")]
    Refused(Reason),
    /// Customer.io has taken nothing for a long time.
    #[error("nothing was delivered for {0:?}{1}")]
    Stalled(Duration, String),
    /// The person asked to end.
    #[error("interrupted")]
    Interrupted,
    /// Redis did not take jobs.
    #[error("after {added} jobs: cannot use Redis at {address}: {error}")]
    Queue {
        /// Jobs that are in the queue for sure; up to one step more may be.
        added: u64,
        /// Where it is, without a password.
        address: String,
        /// What Redis said.
        error: QueueError,
    },
    /// Not all of the file was added.
    #[error("after {added} jobs, which are in the queue: {cause}")]
    Enqueued {
        /// Jobs that are in the queue.
        added: u64,
        /// Why not more.
        cause: Box<SendError>,
    },
    /// The file held more when it was checked.
    #[error(
        "the file held {checked} operations when it was checked, and {found} now: give a file that does not change"
    )]
    Shortened {
        /// Operations then.
        checked: u64,
        /// Operations now.
        found: u64,
    },
    /// A task of ours ended unexpectedly.
    #[error("an error in cio itself: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl SendError {
    /// Whether a setting or the file is wrong, and nothing was done.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Input(_)
                | Self::Invalid(_)
                | Self::Credentials(_)
                | Self::Busy(_)
                | Self::Unfinished(_)
                | Self::FailedBefore(_)
                | Self::Changed(_)
                | Self::State { .. }
        )
    }

    /// Whether the run can go on with `--resume`.
    pub fn can_resume(&self) -> bool {
        matches!(
            self,
            Self::ReadOn(_)
                | Self::Refused(_)
                | Self::Stalled(..)
                | Self::Interrupted
                | Self::Write { .. }
        )
    }
}
