//! `cio send FILE`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::given::Given;
use super::operations::{
    InputSettings, View, command_error, print_checked, print_json, remove, tell_of_growth,
};
use super::settings::{RedisSettings, WorkspaceSettings, count};
use crate::delivery::Mode;
use crate::queue::connection::Redis;
use crate::runtime::clock::Clock;
use crate::runtime::run_script::RunScript;
use crate::runtime::shutdown;
use crate::sender::input::InputFile;
use crate::sender::send::{self, Ready, SendSettings};
use crate::sender::{Progress, SendError};

/// Deliver a file of operations to Customer.io, each line once.
///
/// Every line is checked before the first request. Prints {"succeeded", "failed"}; failed lines go with
/// their reasons into `FILE.failed.jsonl`, which can be sent again as it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio send operations.jsonl\n  \
    cio send orders.csv --map userId=customer --map data.total:number=total --event order_placed\n  \
    zcat operations.jsonl.gz | cio send -\n  \
    cio send operations.jsonl --resume     # goes on after a crash or Ctrl-C\n\n\
    Exit codes: 0 all delivered, 1 some failed or the run was ended, 2 usage, or wrong lines: nothing was sent.")]
pub(super) struct Send {
    #[command(flatten)]
    given: Given,

    #[command(flatten)]
    input: InputSettings,

    /// Go on with the run that was ended, with FILE.cio-state; without one, begin.
    #[arg(long)]
    resume: bool,

    /// batch: many operations in a request to /api/v2/batch; single: one request each.
    #[arg(long, env = "CIO_DELIVERY_MODE", default_value = "batch")]
    mode: Mode,

    /// The limit: the whole workspace's where a Redis is given, else this process'; 0 is none.
    #[arg(
        long,
        env = "CIO_REQUESTS_PER_SECOND",
        default_value_t = 80,
        value_name = "RATE"
    )]
    requests_per_second: u32,

    /// Requests in flight.
    #[arg(long, env = "CIO_MAX_CONCURRENT", default_value_t = 15, value_parser = count)]
    max_concurrent: usize,

    /// End when nothing was delivered for so many seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,

    #[command(flatten)]
    redis: RedisSettings,

    #[command(flatten)]
    workspace: WorkspaceSettings,
}

impl Send {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        if self.resume && self.input.is_standard_input() {
            let message = "--resume needs the file that standard input was kept in: it was named";
            return Err(CommandError::Usage(message.to_owned()));
        }
        let stop = shutdown::on_signals().context("install signal handlers")?;
        let file = self.input.file(&stop).await?;
        let path = file.path.clone();
        let outcome = self.with(file, stop).await;
        let keep = outcome.is_err() && send::begun(&path).is_ok_and(|begun| begun.is_some());
        if self.input.is_standard_input() && !keep {
            remove(&path);
        }
        outcome
    }

    async fn with(&self, mut file: InputFile, stop: CancellationToken) -> Result<(), CommandError> {
        let begun = send::begun(&file.path).map_err(command_error)?;
        let operations = match begun {
            // They were checked when it began.
            Some(begun) if self.resume && !self.input.check => {
                file.length = begun.length;
                begun.operations
            }
            _ => {
                let checked = InputSettings::checked(&file, self.mode, stop.clone()).await?;
                if self.input.check {
                    print_checked(&checked)?;
                }
                InputSettings::verdict(&checked)?;
                checked.operations
            }
        };
        if self.input.check {
            return Ok(());
        }
        let settings = self.settings(&file, operations)?;
        let ready = send::begin(&settings).await.map_err(command_error)?;
        self.deliver(&file, settings, ready, stop).await
    }

    fn settings(&self, file: &InputFile, operations: u64) -> Result<SendSettings, CommandError> {
        let redis = self.redis.source_if_given()?;
        let limit = redis.map(|it| Arc::new(Redis::new(it)) as Arc<dyn RunScript>);
        Ok(SendSettings {
            file: file.clone(),
            operations,
            resume: self.resume,
            mode: self.mode,
            in_flight: self.max_concurrent,
            requests_per_second: self.requests_per_second,
            limit,
            region: self.workspace.region,
            endpoint: self.workspace.endpoint()?,
            credentials: self.workspace.credentials()?,
            patience: Duration::from_secs(self.patience),
            clock: Clock::system(),
        })
    }

    async fn deliver(
        &self,
        file: &InputFile,
        settings: SendSettings,
        ready: Ready,
        stop: CancellationToken,
    ) -> Result<(), CommandError> {
        if self.input.is_standard_input() {
            eprintln!("standard input is kept in {}", file.path.display());
        }
        let Progress {
            total,
            succeeded,
            failed,
        } = ready.progress();
        let mut view = View::new(total, succeeded + failed);
        let sent = send::send(settings, ready, &mut |progress| view.show(progress), stop).await;
        view.end();
        let sent = sent.map_err(|error| self.ended(file, error))?;
        let (succeeded, failed) = (sent.succeeded, sent.failed);
        tell_of_growth(file);
        print_json(&json!({"succeeded": succeeded, "failed": failed}))?;
        if failed > 0 {
            let error = anyhow!(
                "{failed} operations failed: see {}.failed.jsonl",
                file.path.display()
            );
            return Err(error.into());
        }
        Ok(())
    }

    fn ended(&self, file: &InputFile, error: SendError) -> CommandError {
        if error.can_resume() {
            let path = file.path.to_string_lossy();
            let instead = [("file", Some(&*path)), ("resume", None)];
            eprintln!("to go on: {}", self.given.command(&["send"], &instead));
        }
        command_error(error)
    }
}
