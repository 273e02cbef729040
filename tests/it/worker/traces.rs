//! The spans that a worker exports, as an OpenTelemetry collector gets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;

use super::bench::{add, all_finished, many, queue, track};
use super::life::variables;
use super::receiver::{Receiver, accept};
use crate::support::process::Cio;
use crate::support::redis::RedisServer;

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Bytes>>>);

impl Collector {
    /// With its address.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let take = async |State(collector): State<Self>, body: Bytes| {
            collector.0.lock().expect("the lock").push(body);
        };
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, url)
    }

    fn bytes(&self) -> Vec<Bytes> {
        self.0.lock().expect("the lock").clone()
    }

    /// Services and spans.
    fn spans(&self) -> Vec<(String, Span)> {
        let mut spans = Vec::new();
        for body in self.bytes() {
            let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
            for of_resource in request.resource_spans {
                let resource = attributes(&of_resource.resource.expect("a resource").attributes);
                for span in of_resource.scope_spans.into_iter().flat_map(|it| it.spans) {
                    spans.push((resource["service.name"].clone(), span));
                }
            }
        }
        spans
    }
}

fn attributes(pairs: &[KeyValue]) -> HashMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.clone().and_then(|it| it.value) {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs
        .iter()
        .map(|pair| (pair.key.clone(), text(pair)))
        .collect()
}

/// Runs a worker over the jobs of `server` with further variables until `finished` jobs are.
async fn exported(
    server: &RedisServer,
    receiver: &Receiver,
    more: &[(&str, &str)],
    finished: u64,
) -> Collector {
    let (collector, url) = Collector::start().await;
    let redis = server.url();
    let mut variables = variables(&redis, receiver);
    variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &url));
    variables.extend_from_slice(more);
    let worker = Cio::start(&["worker", "--port", "0"], &variables);
    all_finished(&queue(server).await, finished).await;
    let (code, log) = worker.terminate();
    assert_eq!(code, Some(0), "{log}");
    collector
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_and_requests_are_exported_and_nobody_is_named() {
    let server = RedisServer::start();
    let receiver = Receiver::answering(|path, _| {
        if path.contains("/customers/user-bad") {
            (400, r#"{"meta":{"errors":["no"]}}"#.to_owned())
        } else {
            accept()
        }
    })
    .await;
    let jobs = queue(&server).await;
    add(&jobs, many(20, 5)).await;
    let large = json!({"x": "secret".repeat(8_000)});
    add(&jobs, [track("user-bad", "large", &large)]).await;
    let collector = exported(&server, &receiver, &[], 21).await;

    let spans = collector.spans();
    assert!(spans.iter().all(|(service, _)| service == "cio-worker"));
    let named = |name: &str| -> Vec<_> {
        let named = spans.iter().filter(|(_, span)| span.name == name);
        named
            .map(|(_, span)| (span, attributes(&span.attributes)))
            .collect()
    };
    let (jobs, requests) = (named("cio.job"), named("cio.request"));
    assert_eq!(jobs.len(), 21);
    assert!(requests.len() >= 2);
    for (span, job) in &jobs {
        assert_eq!(span.kind(), SpanKind::Consumer);
        assert_eq!(
            (&*job["cio.operation"], &*job["cio.attempt"]),
            ("track", "1")
        );
        assert!(job["job.id"].parse::<u64>().is_ok(), "{job:?}");
        // Each job is in one request: as its parent, or as a link.
        let child = requests
            .iter()
            .any(|(it, _)| it.parent_span_id == span.span_id);
        assert!(child != (span.links.len() == 1), "{span:?}");
    }
    let ended = |class: &str| {
        let ended = jobs.iter().filter(|(_, it)| it["outcome.class"] == class);
        ended.count()
    };
    assert_eq!((ended("delivered"), ended("rejected")), (20, 1));
    let sizes = requests
        .iter()
        .map(|(_, it)| it["cio.batch.size"].parse::<u64>());
    assert_eq!(sizes.sum::<Result<u64, _>>(), Ok(21));
    let (refused, template) = ("/api/v1/customers/{id}/events", "/api/v2/batch");
    for (span, request) in &requests {
        assert_eq!(span.kind(), SpanKind::Client);
        assert_eq!(request["http.request.method"], "POST");
        assert!(request.contains_key("cio.wait_ms"));
        let expected = if request["url.template"] == refused {
            "400"
        } else {
            "200"
        };
        assert_eq!(
            request["http.response.status_code"], expected,
            "{request:?}"
        );
        assert!([refused, template].contains(&&*request["url.template"]));
    }
    for body in collector.bytes() {
        let text = String::from_utf8_lossy(&body).into_owned();
        for personal in ["user-", "secret", "numbered", "Basic"] {
            assert!(!text.contains(personal), "{personal}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producers_span_is_the_parent_of_its_jobs_and_decides_whether_it_is_sampled() {
    let server = RedisServer::start();
    let receiver = Receiver::start().await;
    add(&queue(&server).await, many(3, 3)).await;
    let client = redis::Client::open(server.url()).expect("a client");
    let mut redis = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    // As bullmq-otel writes it: the second job's producer is not sampled, the third has no trace.
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for (job, flags) in [(1, "01"), (2, "00")] {
        let metadata = json!({"traceparent": format!("00-{trace}-b7ad6b7169203331-{flags}")});
        let options = json!({"attempts": 5, "tm": metadata.to_string()});
        redis::cmd("HSET")
            .arg(format!("bull:cio-events:{job}"))
            .arg("opts")
            .arg(options.to_string())
            .exec_async(&mut redis)
            .await
            .expect("it to be written");
    }
    let collector = exported(&server, &receiver, &[], 3).await;
    let spans = collector.spans();
    let job = |id: &str| {
        let mut jobs = spans.iter().filter(|(_, span)| span.name == "cio.job");
        jobs.find(|(_, span)| attributes(&span.attributes)["job.id"] == id)
    };
    let (_, first) = job("1").expect("the span of job 1");
    let number = |hex: &str| u128::from_str_radix(hex, 16).expect("hex digits");
    let bytes = number(trace).to_be_bytes();
    assert_eq!(first.trace_id, bytes);
    let parent = number("b7ad6b7169203331").to_be_bytes();
    assert_eq!(first.parent_span_id, parent[8..]);
    assert!(job("2").is_none());
    let (_, third) = job("3").expect("the span of job 3");
    assert!(third.parent_span_id.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_variables_name_the_service_and_choose_what_is_sampled() {
    let server = RedisServer::start();
    let receiver = Receiver::start().await;
    add(&queue(&server).await, many(5, 5)).await;
    let more = [("OTEL_SERVICE_NAME", "shop")];
    let collector = exported(&server, &receiver, &more, 5).await;
    assert!(!collector.spans().is_empty());
    assert!(
        collector
            .spans()
            .iter()
            .all(|(service, _)| service == "shop")
    );

    add(&queue(&server).await, many(5, 5)).await;
    let more = [("OTEL_TRACES_SAMPLER", "always_off")];
    let collector = exported(&server, &receiver, &more, 10).await;
    assert!(collector.bytes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_that_is_not_spoken_is_refused_with_the_one_that_is() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let (code, log) = crate::support::process::run(&["worker"], &variables);
    assert_eq!(code, Some(2));
    assert!(log.contains("OTEL_EXPORTER_OTLP_PROTOCOL: grpc"), "{log}");
}
