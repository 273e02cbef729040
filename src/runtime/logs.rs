//! Structured logs on standard error: JSON in a cluster, one compact line on a terminal.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::traces::{BoxedLayer, TARGET};

/// What `CIO_LOG` means when it is not set.
pub const DEFAULT_FILTER: &str = "info,kube_client=warn,tower=warn,hyper=warn";
/// The BullMQ crate logs job ids as they are, and a custom one may be somebody's e-mail address: no
/// filter lets it through. Its errors reach us as events.
const SILENT: &str = "bullmq";

/// Starts logging with a filter in `tracing`'s directive syntax, for example `debug` or
/// `info,cio_operator::worker=debug`. `traces` gets the spans of its target.
///
/// # Errors
/// The sentence for the user when the filter cannot be read.
pub fn init(filter: &str, traces: Option<BoxedLayer>) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        format!("CIO_LOG: cannot read {filter:?}: {error}; write for example CIO_LOG=info")
    })?;
    let filter = filter.and(filter_fn(|metadata| is_ours(metadata.target())));
    let logs = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let logs = if io::stderr().is_terminal() {
        logs.compact().with_filter(filter).boxed()
    } else {
        logs.json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed()
    };
    let layers: Vec<_> = [Some(logs), traces].into_iter().flatten().collect();
    tracing_subscriber::registry().with(layers).init();
    Ok(())
}

/// Spans for OpenTelemetry are none of the logs, whatever the filter says.
fn is_ours(target: &str) -> bool {
    target != TARGET && target.split("::").next() != Some(SILENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_personal_data_is_never_logged() {
        for (target, expected) in [
            ("cio_operator::worker", true),
            ("hyper", true),
            ("bullmq", false),
            ("bullmq::worker", false),
            (TARGET, false),
        ] {
            assert_eq!(is_ours(target), expected, "{target}");
        }
    }
}
