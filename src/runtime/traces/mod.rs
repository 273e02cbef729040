//! Spans for OpenTelemetry: `tracing` spans of one target, which logs leave out.
//!
//! They are exported over OTLP/HTTP where `OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, and cost next to nothing where not: nobody listens
//! to their target then. The other standard variables hold too
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).

#[cfg(feature = "otel")]
mod context;
#[cfg(feature = "otel")]
mod export;

use prometheus::{IntCounter, Registry};
use tracing_subscriber::Layer;
use tracing_subscriber::Registry as Subscriber;

#[cfg(feature = "otel")]
pub use self::context::{follow, is_sampled, parent};
#[cfg(feature = "otel")]
pub use self::export::{Exporting, from_environment};

/// The target of every span that is exported.
pub const TARGET: &str = "cio::traces";

/// A layer of the subscriber, whatever it does.
pub type BoxedLayer = Box<dyn Layer<Subscriber> + Send + Sync>;

/// What becomes of spans.
#[derive(Debug, Clone)]
pub struct TraceCounters {
    exported: IntCounter,
    dropped: IntCounter,
    failed: IntCounter,
}

impl TraceCounters {
    /// All of them at 0.
    ///
    /// # Errors
    /// Never, for the names are as they should be.
    #[cfg(feature = "otel")]
    pub fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            exported: IntCounter::new(
                "cio_traces_exported_spans_total",
                "Spans that the OpenTelemetry endpoint has taken",
            )?,
            dropped: IntCounter::new(
                "cio_traces_dropped_spans_total",
                "Spans that found the queue for export full",
            )?,
            failed: IntCounter::new(
                "cio_traces_failed_spans_total",
                "Spans that the OpenTelemetry endpoint has not taken",
            )?,
        })
    }

    /// Shows them on the pages of `registry`.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        for counter in [&self.exported, &self.dropped, &self.failed] {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(())
    }
}

/// The program was built without export.
#[cfg(not(feature = "otel"))]
mod without {
    use std::convert::Infallible;

    use tracing::Span;

    use super::{BoxedLayer, TraceCounters};

    /// Never there.
    #[derive(Debug)]
    pub struct Exporting(Infallible);

    impl Exporting {
        /// The counters.
        pub fn counters(&self) -> TraceCounters {
            match self.0 {}
        }

        /// Exports what is left.
        #[expect(clippy::unused_async, reason = "as where there is export")]
        pub async fn finish(self) {
            match self.0 {}
        }
    }

    /// Nothing.
    ///
    /// # Errors
    /// Never.
    pub fn from_environment(_: &'static str) -> Result<Option<(BoxedLayer, Exporting)>, String> {
        Ok(None)
    }

    /// Never.
    pub fn is_sampled(_: &Span) -> bool {
        false
    }

    /// Nothing.
    pub fn follow(_: &Span, _: &Span) {}

    /// Nothing.
    pub fn parent(_: &Span, _: &str) {}
}

#[cfg(not(feature = "otel"))]
pub use self::without::{Exporting, follow, from_environment, is_sampled, parent};
