//! What `cio send` and `cio enqueue` have in common: the file, its check, what a person sees.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{CommandError, stdout};
use crate::delivery::Mode;
use crate::sender::check::{Checked, check};
use crate::sender::input::{Field, Format, InputFile, Mapping};
use crate::sender::{Progress, SendError};

/// Without a terminal: a line for so many operations.
const LINE_EVERY: u64 = 1_000;

/// The operations.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputSettings {
    /// JSON lines, each {"type": "identify"|"track", "userId", "data", "enqueuedAt"?}, or CSV; - is standard
    /// input. As in the guide's jobs, the data of a track is the event: {"name", "data"}.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// How the file is written [default: csv where its name ends so, else jsonl].
    #[arg(long)]
    format: Option<FormatName>,

    /// Which column of a CSV is which field: userId, type, event, enqueuedAt, data.NAME, data.NAME:number,
    /// data.NAME:boolean. Columns called as a field need none; without a data.NAME all others go into data.
    #[arg(long = "map", value_name = "FIELD=COLUMN")]
    fields: Vec<Field>,

    /// Every line of a CSV is this event of its user.
    #[arg(long, value_name = "NAME")]
    event: Option<String>,

    /// Only check every line; send nothing.
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    Jsonl,
    Csv,
}

impl InputSettings {
    /// The file to read: standard input is put on disk first, where it stays until it is done.
    pub(super) async fn file(&self, stop: &CancellationToken) -> Result<InputFile, CommandError> {
        let format = self.format()?;
        let path = if self.is_standard_input() {
            spool(stop).await?
        } else {
            self.file.clone()
        };
        let length = length(&path)?;
        Ok(InputFile {
            path,
            format,
            length,
        })
    }

    pub(super) fn is_standard_input(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    fn format(&self) -> Result<Format, CommandError> {
        let ending = self.file.extension().is_some_and(|ending| ending == "csv");
        let csv = self
            .format
            .map_or(ending, |format| format == FormatName::Csv);
        if csv {
            return Ok(Format::Csv(Mapping {
                fields: self.fields.clone(),
                event: self.event.clone(),
            }));
        }
        if !self.fields.is_empty() || self.event.is_some() {
            let message = "--map and --event are for CSV: add --format csv";
            return Err(CommandError::Usage(message.to_owned()));
        }
        Ok(Format::JsonLines)
    }

    /// Reads every line of `file` and names the wrong ones.
    pub(super) async fn checked(
        file: &InputFile,
        mode: Mode,
        stop: CancellationToken,
    ) -> Result<Checked, CommandError> {
        let checked = check(file.clone(), mode, stop)
            .await
            .map_err(command_error)?;
        for (line, problem) in &checked.problems {
            eprintln!("{}:{line}: {problem}", file.path.display());
        }
        Ok(checked)
    }

    /// Fails unless all lines are good.
    pub(super) fn verdict(checked: &Checked) -> Result<(), CommandError> {
        match checked.invalid {
            0 => Ok(()),
            invalid => Err(command_error(SendError::Invalid(invalid))),
        }
    }
}

/// What `--check` prints.
pub(super) fn print_checked(checked: &Checked) -> Result<(), CommandError> {
    print_json(&json!({"operations": checked.operations, "invalid": checked.invalid}))
}

/// What a program reads.
pub(super) fn print_json(value: &Value) -> Result<(), CommandError> {
    stdout::print(&format!("{value}\n"))
}

/// The end of a run says what it left out.
pub(super) fn tell_of_growth(file: &InputFile) {
    if file.has_grown() {
        eprintln!(
            "note: {} has grown since it was checked: the lines that were appended, from byte {} on, were left out; \
             put them into a file of their own",
            file.path.display(),
            file.length
        );
    }
}

pub(super) fn command_error(error: SendError) -> CommandError {
    if error.is_usage() {
        return CommandError::Usage(error.to_string());
    }
    CommandError::Failed(error.into())
}

/// Bytes of a file that can be read twice: it is, to be checked before anything of it is used.
fn length(path: &Path) -> Result<u64, CommandError> {
    let shown = path.display();
    let wrong = |what: &str| Err(CommandError::Usage(format!("{shown} is {what}")));
    let found = path
        .metadata()
        .map_err(|error| CommandError::Usage(format!("cannot read {shown}: {error}")))?;
    let kind = found.file_type();
    if kind.is_file() {
        return Ok(found.len());
    }
    if kind.is_dir() {
        return wrong("a folder: name one file in it");
    }
    if kind.is_fifo() {
        return wrong("a pipe: use - for standard input, and pipe into cio");
    }
    wrong("no regular file: use - for standard input")
}

/// Standard input in a file that only its owner reads; no file where `stop` comes first.
async fn spool(stop: &CancellationToken) -> anyhow::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("cio-send-{:016x}", rand::random::<u64>()));
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let copied = match stop.run_until_cancelled(copy(file)).await {
        Some(copied) => {
            copied.with_context(|| format!("keep standard input in {}", path.display()))
        }
        None => Err(anyhow!(
            "ended while standard input was read: nothing of it was used"
        )),
    };
    if copied.is_err() {
        remove(&path);
    }
    copied.map(|()| path)
}

/// Copies all of standard input, on a thread that the process does not wait for at its end: it may stand at a read
/// for ever.
async fn copy(mut file: File) -> io::Result<()> {
    let (sender, copied) = oneshot::channel();
    std::thread::Builder::new()
        .name("standard input".to_owned())
        .spawn(move || {
            let copied = io::copy(&mut io::stdin().lock(), &mut file);
            // Nobody waits for it any more where the process is to end.
            sender.send(copied.and_then(|_| file.sync_all())).ok();
        })?;
    copied.await.map_err(io::Error::other)?
}

/// Removes what standard input was put into; one that stays does no harm.
pub(super) fn remove(path: &Path) {
    std::fs::remove_file(path).ok();
}

/// What a person sees meanwhile: a bar on a terminal, else a line now and then.
pub(super) struct View {
    bar: Option<ProgressBar>,
    shown: u64,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("View")
    }
}

impl View {
    pub(super) fn new(total: u64, done: u64) -> Self {
        let template = "{bar:40} {human_pos}/{human_len}  {per_sec}  {eta} left  {msg}";
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total)
                .with_style(style)
                .with_position(done)
        });
        Self {
            bar,
            shown: done / LINE_EVERY,
        }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        let done = progress.succeeded + progress.failed;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            if progress.failed > 0 {
                bar.set_message(format!("{} failed", progress.failed));
            }
        } else if done / LINE_EVERY > self.shown {
            self.shown = done / LINE_EVERY;
            let Progress { total, failed, .. } = progress;
            eprintln!("{done} of {total} done, {failed} failed");
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}
