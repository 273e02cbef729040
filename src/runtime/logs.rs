//! Structured logs on standard error: JSON in a cluster, one compact line on a terminal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// What `CIO_LOG` means when it is not set. The BullMQ crate logs job ids as they are, and a custom
/// one may be somebody's e-mail address; its errors reach us as events.
pub const DEFAULT_FILTER: &str = "info,kube_client=warn,bullmq=off,tower=warn,hyper=warn";

/// Starts logging with a filter in `tracing`'s directive syntax, for example `debug` or
/// `info,cio_operator::worker=debug`.
///
/// # Errors
/// The sentence for the user when the filter cannot be read.
pub fn init(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        format!("CIO_LOG: cannot read {filter:?}: {error}; write for example CIO_LOG=info")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    if io::stderr().is_terminal() {
        builder.compact().init();
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .init();
    }
    Ok(())
}
