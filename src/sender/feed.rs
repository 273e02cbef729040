//! A bounded look ahead into the file, from a thread of its own.

use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::SendError;
use super::input::{InputFile, Problem};
use super::ranges::Ranges;

/// Bytes of operations in hand, counted as [`OVERHEAD`] and twice their text each.
pub(super) const ROOM: u32 = 16 * 1024 * 1024;
/// What an operation takes beside its text while it is under way.
const OVERHEAD: usize = 1024;
/// Operations that are read and not yet taken.
const AHEAD: usize = 256;

/// An operation that was read.
#[derive(Debug)]
pub(super) struct Fed<T> {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// Its JSON.
    pub(super) text: Box<str>,
    pub(super) item: T,
    /// Its place among those in hand, until this is dropped.
    _room: OwnedSemaphorePermit,
}

/// Operations in the order of the file.
#[derive(Debug)]
pub(super) struct Feed<T> {
    received: mpsc::Receiver<Result<Fed<T>, SendError>>,
    room: Arc<Semaphore>,
}

impl<T: Send + 'static> Feed<T> {
    /// Reads what is meant of `file`, without those in `done`; `make` makes each what it is to be.
    pub(super) fn start(
        file: InputFile,
        done: Ranges,
        make: impl Fn(u64, &Value) -> Result<T, Problem> + Send + 'static,
    ) -> Self {
        let room = Arc::new(Semaphore::new(ROOM as usize));
        let (sender, received) = mpsc::channel(AHEAD);
        let ahead = Arc::clone(&room);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read(&file, &done, &ahead, &sender, make) {
                let error = match error {
                    SendError::Input(error) => SendError::ReadOn(error),
                    other => other,
                };
                // Whoever reads has gone: then nobody needs to know.
                sender.blocking_send(Err(error)).ok();
            }
        });
        Self { received, room }
    }

    /// The next one; nothing at the end of the file.
    pub(super) async fn next(&mut self) -> Option<Result<Fed<T>, SendError>> {
        self.received.recv().await
    }
}

impl<T> Drop for Feed<T> {
    /// Lets the thread end that waits for room.
    fn drop(&mut self) {
        self.room.close();
    }
}

fn read<T>(
    file: &InputFile,
    done: &Ranges,
    room: &Arc<Semaphore>,
    sender: &mpsc::Sender<Result<Fed<T>, SendError>>,
    make: impl Fn(u64, &Value) -> Result<T, Problem>,
) -> Result<(), SendError> {
    let mut input = file.open()?;
    while input.advance()? {
        let number = input.number();
        if done.contains(number) {
            continue;
        }
        // All lines were good when they were checked.
        let changed = |_| SendError::ChangedMeanwhile(input.line());
        let value = input.value().map_err(changed)?;
        let item = make(number, &value).map_err(changed)?;
        let text = value.to_string().into_boxed_str();
        let Some(room) = wait_for_room(room, text.len()) else {
            return Ok(());
        };
        let fed = Fed {
            number,
            text,
            item,
            _room: room,
        };
        if sender.blocking_send(Ok(fed)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn wait_for_room(room: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let cost = u32::try_from(OVERHEAD + 2 * bytes)
        .unwrap_or(ROOM)
        .min(ROOM);
    let permit = Arc::clone(room).acquire_many_owned(cost);
    Handle::current().block_on(permit).ok()
}

#[cfg(test)]
mod tests {
    use super::super::input::Format;
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_cannot_be_read_on_is_no_wrong_setting_and_the_run_can_go_on() {
        // A folder can be opened, and not read.
        let folder = tempfile::tempdir().unwrap();
        let file = InputFile {
            path: folder.path().to_owned(),
            format: Format::JsonLines,
            length: 1,
        };
        let mut feed = Feed::start(file, Ranges::default(), |_, _| Ok(()));
        let error = feed.next().await.unwrap().unwrap_err();
        assert!(!error.is_usage() && error.can_resume(), "{error}");
    }
}
