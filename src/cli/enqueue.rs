//! `cio enqueue FILE`.

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::operations::{
    InputSettings, View, command_error, print_checked, print_json, remove, tell_of_growth,
};
use super::settings::{QueueSettings, RedisSettings};
use crate::delivery::Mode;
use crate::queue::connection::Redis;
use crate::runtime::clock::Clock;
use crate::runtime::shutdown;
use crate::sender::enqueue::{EnqueueSettings, enqueue};
use crate::sender::input::InputFile;

/// Put a file of operations into the queue, in its order, for `cio worker` or any BullMQ worker.
///
/// Every line is checked before the first job. Jobs have the guide's options: 5 attempts, exponential backoff
/// from 2 s, 10,000 completed and 50,000 failed ones kept. Prints {"enqueued"}.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cio enqueue operations.jsonl\n  \
    cio enqueue operations.jsonl --max-depth 20000     # waits for the workers")]
pub(super) struct Enqueue {
    #[command(flatten)]
    input: InputSettings,

    /// Wait while the queue holds so many jobs that are not finished.
    #[arg(long, default_value_t = 100_000, value_name = "JOBS", value_parser = clap::value_parser!(u64).range(1..))]
    max_depth: u64,

    #[command(flatten)]
    redis: RedisSettings,

    #[command(flatten)]
    queue: QueueSettings,
}

impl Enqueue {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let stop = shutdown::on_signals().context("install signal handlers")?;
        let file = self.input.file(&stop).await?;
        let outcome = self.with(&file, stop).await;
        if self.input.is_standard_input() {
            remove(&file.path);
        }
        outcome
    }

    async fn with(&self, file: &InputFile, stop: CancellationToken) -> Result<(), CommandError> {
        let checked = InputSettings::checked(file, Mode::Batch, stop.clone()).await?;
        if self.input.check {
            print_checked(&checked)?;
        }
        InputSettings::verdict(&checked)?;
        if self.input.check {
            return Ok(());
        }
        let source = self.redis.source()?;
        let keys = self.queue.keys();
        let address = source.address().await.context("--redis-url-file")?;
        let usable = address.check_keys(&keys);
        usable.map_err(|error| CommandError::Usage(error.to_string()))?;
        let settings = EnqueueSettings {
            file: file.clone(),
            operations: checked.operations,
            redis: Redis::new(source),
            keys,
            max_depth: self.max_depth,
            clock: Clock::system(),
        };
        let mut view = View::new(checked.operations, 0);
        let enqueued = enqueue(settings, &mut |progress| view.show(progress), stop).await;
        view.end();
        let enqueued = enqueued.map_err(command_error)?;
        tell_of_growth(file);
        print_json(&json!({"enqueued": enqueued}))
    }
}
