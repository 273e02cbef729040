//! Every line, before anything is sent.

use tokio_util::sync::CancellationToken;

use super::SendError;
use super::input::{self, Input, InputFile, Problem};
use crate::delivery::Mode;
use crate::delivery::encode::{JobRef, prepare};

/// Wrong lines that are named; the others are counted.
const NAMED: usize = 20;

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Operations, good ones and bad.
    pub operations: u64,
    /// Bad ones.
    pub invalid: u64,
    /// The line and the problem of the first of them.
    pub problems: Vec<(u64, Problem)>,
}

/// Reads all of `file`, as it would be sent in `mode`.
///
/// # Errors
/// When the file cannot be read, or `stop` is cancelled.
pub async fn check(
    file: InputFile,
    mode: Mode,
    stop: CancellationToken,
) -> Result<Checked, SendError> {
    let work = tokio::task::spawn_blocking(move || {
        let mut input = file.open()?;
        let mut checked = Checked::default();
        while input.advance()? {
            if stop.is_cancelled() {
                return Err(SendError::Interrupted);
            }
            checked.count(&input, mode);
        }
        Ok(checked)
    });
    work.await?
}

impl Checked {
    fn count(&mut self, input: &Input, mode: Mode) {
        self.operations += 1;
        if let Err(problem) = look_at(input, mode) {
            self.invalid += 1;
            if self.problems.len() < NAMED {
                self.problems.push((input.line(), problem));
            }
        }
    }
}

fn look_at(input: &Input, mode: Mode) -> Result<(), Problem> {
    let line = input.value()?;
    let operation = input::read(&line, 0)?;
    let nothing = JobRef { queue: "", id: "" };
    prepare(&operation, mode, nothing)?;
    Ok(())
}
