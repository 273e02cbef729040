//! The way of finished spans to the endpoint: a bounded queue, batches, one request at a time.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{HttpClient as OtlpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;

use super::{BoxedLayer, TARGET, TraceCounters};
use crate::runtime::http_client::{HttpClient, HttpClientOptions};

/// Either says where traces go, and with that, that there are any.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
/// What is not exported within this time at the end is lost: a pod's grace period has to do for it.
const LAST_EXPORT: Duration = Duration::from_secs(3);
const CLIENT: HttpClientOptions = HttpClientOptions {
    timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(30),
    idle_per_host: 1,
    max_body: 64 * 1024,
};

/// The export, under way.
#[derive(Debug)]
pub struct Exporting {
    counters: TraceCounters,
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Exporting {
    /// What becomes of spans.
    pub fn counters(&self) -> TraceCounters {
        self.counters.clone()
    }

    /// Exports what is left, for at most three seconds.
    pub async fn finish(self) {
        self.end.cancel();
        if timeout(LAST_EXPORT, self.task).await.is_err() {
            tracing::warn!("the last spans could not be exported in time");
        }
    }
}

/// Starts the export where the environment names an endpoint. `service` is the service's name
/// where `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` give none.
///
/// # Errors
/// The sentence for the user when a variable cannot be followed.
pub fn from_environment(service: &'static str) -> Result<Option<(BoxedLayer, Exporting)>, String> {
    let off = variable("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|it| it == "none");
    if off || ENDPOINTS.iter().all(|name| variable(name).is_none()) {
        return Ok(None);
    }
    check_protocol()?;
    let http = HttpClient::new(CLIENT)
        .map_err(|error| format!("cannot read the system's certificates: {error}"))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(Client(http))
        .build()
        .map_err(|error| format!("OTEL_EXPORTER_OTLP_…: {error}"))?;
    let counters = TraceCounters::new().map_err(|error| error.to_string())?;
    Ok(Some(start(exporter, counters, resource(service))))
}

fn start(
    mut exporter: SpanExporter,
    counters: TraceCounters,
    resource: Resource,
) -> (BoxedLayer, Exporting) {
    let (queue, spans) = mpsc::channel(number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048));
    exporter.set_resource(&resource);
    let processor = Queue {
        spans: queue,
        counters: counters.clone(),
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(processor)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("cio-operator"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|metadata| metadata.target() == TARGET));
    let end = CancellationToken::new();
    let export = Export {
        exporter,
        counters: counters.clone(),
        most: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
        every: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5_000) as u64),
        failing: false,
        // The provider ends with its last owner, and spans with it.
        _provider: provider,
    };
    let task = tokio::spawn(export.run(spans, end.clone()));
    let exporting = Exporting {
        counters,
        end,
        task,
    };
    (layer.boxed(), exporting)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A number above 0, or `default`.
fn number(name: &str, default: usize) -> usize {
    let given = variable(name).and_then(|it| it.parse().ok());
    given.filter(|it| *it > 0).unwrap_or(default)
}

fn check_protocol() -> Result<(), String> {
    let named = PROTOCOLS
        .into_iter()
        .find_map(|name| Some((name, variable(name)?)));
    match named {
        Some((name, protocol)) if protocol != "http/protobuf" => Err(format!(
            "{name}: {protocol} is not spoken here; write http/protobuf, whose port is 4318 as a rule"
        )),
        _ => Ok(()),
    }
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over `service`.
fn resource(service: &'static str) -> Resource {
    let named = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|it| it.contains("service.name="));
    let builder = Resource::builder();
    if named {
        builder.build()
    } else {
        builder.with_service_name(service).build()
    }
}

/// Where spans go when they end.
#[derive(Debug)]
struct Queue {
    spans: mpsc::Sender<SpanData>,
    counters: TraceCounters,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.spans.try_send(span).is_err() {
            self.counters.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Export {
    exporter: SpanExporter,
    counters: TraceCounters,
    most: usize,
    every: Duration,
    failing: bool,
    _provider: SdkTracerProvider,
}

impl Export {
    /// Exports until `end`, and then what is left.
    async fn run(mut self, mut spans: mpsc::Receiver<SpanData>, end: CancellationToken) {
        let mut batch = Vec::new();
        while !end.is_cancelled() {
            let deadline = Instant::now() + self.every;
            let fill = async {
                while batch.len() < self.most {
                    let room = self.most - batch.len();
                    if spans.recv_many(&mut batch, room).await == 0 {
                        return;
                    }
                }
            };
            // Full, or the time is over, or all is.
            let _ = end.run_until_cancelled(timeout_at(deadline, fill)).await;
            self.export(std::mem::take(&mut batch)).await;
        }
        spans.close();
        while spans.recv_many(&mut batch, self.most).await > 0 {
            self.export(std::mem::take(&mut batch)).await;
        }
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let count = batch.len() as u64;
        match self.exporter.export(batch).await {
            Ok(()) => {
                self.counters.exported.inc_by(count);
                self.failing = false;
            }
            Err(error) => {
                self.counters.failed.inc_by(count);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(error = %error, "spans cannot be exported; they are lost until it goes on");
                }
            }
        }
    }
}

/// The program's own HTTP client, as the exporter wants it.
struct Client(HttpClient);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl OtlpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.0.send(request.map(Full::new)).await?;
        let mut response = Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
