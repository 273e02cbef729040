//! How spans belong together.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Whether a span is recorded and exported.
pub fn is_sampled(span: &Span) -> bool {
    !span.is_disabled() && span.context().span().span_context().is_sampled()
}

/// Links `span` to what it followed from.
pub fn follow(span: &Span, cause: &Span) {
    if !span.is_disabled() {
        span.add_link(cause.context().span().span_context().clone());
    }
}

/// Makes `span` a child of the producer's span, which BullMQ's `telemetry` option `metadata` names:
/// JSON with `traceparent` and perhaps `tracestate` (<https://docs.bullmq.io/guide/telemetry>).
/// What cannot be read leaves the span without a parent.
pub fn parent(span: &Span, metadata: &str) {
    let Ok(carrier) = serde_json::from_str::<HashMap<String, String>>(metadata) else {
        return;
    };
    let context = TraceContextPropagator::new().extract(&carrier);
    if context.span().span_context().is_valid() {
        // A span that is not exported has no need of a parent.
        span.set_parent(context).ok();
    }
}
