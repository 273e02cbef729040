//! The simulator over HTTP: what a client of the Track API sees, and what a test can ask afterwards.

mod faults;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use cio_operator::runtime::clock::Clock;
use cio_operator::runtime::http_client::{Answer, HttpClient, HttpClientOptions};
use cio_operator::runtime::http_server;
use cio_operator::simulator::{self, Options};
use http_body_util::Full;
use hyper::{Request, StatusCode};
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use crate::support::process::{self, Cio};
use crate::support::redis::free_port;
use crate::support::{eventually, http};

const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// A simulator on a port of its own; it ends with the test.
struct Simulator {
    address: String,
    client: HttpClient,
    registry: Registry,
    _stop: DropGuard,
}

impl Simulator {
    async fn start(options: Options) -> Self {
        let registry = Registry::new();
        let router = simulator::router(options, Clock::system(), &registry).unwrap();
        let listener = http_server::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        tokio::spawn(http_server::serve(listener, router, stop.clone()));
        let client = HttpClient::new(HttpClientOptions {
            timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(1),
            idle_per_host: 4,
            max_body: 1 << 20,
        });
        Self {
            address,
            client: client.unwrap(),
            registry,
            _stop: stop.drop_guard(),
        }
    }

    async fn send(&self, method: &str, path: &str, authorization: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        let request = match authorization {
            "" => request,
            value => request.header("authorization", value),
        };
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        self.client.send(request.body(body).unwrap()).await.unwrap()
    }

    /// A call of the API, with good credentials.
    async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &basic("site:key"), &body.to_string())
            .await
    }

    /// A page under `/_sim`.
    async fn sim(&self, page: &str) -> Value {
        let answer = self.send("GET", &format!("/_sim/{page}"), "", "").await;
        assert_eq!(answer.status, StatusCode::OK, "{page}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    async fn identify(&self, id: &str, attributes: &Value) -> StatusCode {
        let path = format!("/api/v1/customers/{id}");
        self.call("PUT", &path, attributes).await.status
    }

    async fn track(&self, id: &str, event: &Value) -> StatusCode {
        let path = format!("/api/v1/customers/{id}/events");
        self.call("POST", &path, event).await.status
    }

    async fn batch(&self, items: &Value) -> Answer {
        self.call("POST", "/api/v2/batch", &json!({ "batch": items }))
            .await
    }
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).unwrap()
}

fn person(action: &str, more: &Value) -> Value {
    let mut item = json!({"type": "person", "identifiers": {"id": "u"}, "action": action});
    let (item_fields, more) = (item.as_object_mut().unwrap(), more.as_object().unwrap());
    item_fields.extend(more.clone());
    item
}

#[tokio::test]
async fn an_accepted_call_is_answered_with_the_bytes_of_the_real_api() {
    let simulator = Simulator::start(Options::default()).await;
    let calls = [
        ("PUT", "/api/v1/customers/u", json!({"plan": "x"})),
        ("POST", "/api/v1/customers/u/events", json!({"name": "n"})),
        (
            "POST",
            "/api/v2/batch",
            json!({"batch": [person("delete", &json!({}))]}),
        ),
        (
            "POST",
            "/api/v2/entity",
            person("event", &json!({"name": "n"})),
        ),
        ("DELETE", "/api/v1/customers/u", json!({})),
    ];
    for (method, path, body) in calls {
        let answer = simulator.call(method, path, &body).await;
        assert_eq!((answer.status.as_u16(), text(&answer)), (200, "{}\n"));
        let mut headers: Vec<(&str, &str)> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .filter(|(name, _)| *name != "date")
            .collect();
        headers.sort_unstable();
        let expected = [
            ("access-control-allow-origin", "*"),
            (
                "alt-svc",
                "h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000",
            ),
            (
                "cache-control",
                "no-cache, no-store, must-revalidate, max-age=0",
            ),
            ("content-length", "3"),
            ("content-type", "application/json; charset=utf-8"),
            ("status", "200 OK"),
            (
                "strict-transport-security",
                "max-age=31536000; includeSubDomains",
            ),
            ("via", "1.1 google"),
        ];
        assert_eq!(headers, expected, "{method} {path}");
    }
    let region = simulator
        .call("GET", "/api/v1/accounts/region", &json!({}))
        .await;
    let region: Value = serde_json::from_slice(&region.body).unwrap();
    assert_eq!(region["region"], "us");
    assert_eq!(
        simulator.call("GET", "/auth", &json!({})).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_id_is_decoded_once_and_may_hold_a_slash() {
    let simulator = Simulator::start(Options::default()).await;
    // As the official Node client writes them, and as the Go client leaves them.
    let ids = ["a%20b%2F%C3%BC%2B", "x+y", "p%252Fq", "u:1@z&=$"];
    for id in ids {
        let status = simulator.identify(id, &json!({ "raw": id })).await;
        assert_eq!(status, StatusCode::OK);
    }
    for id in ids {
        assert_eq!(simulator.sim(&format!("people/{id}")).await["raw"], id);
    }
    assert_eq!(simulator.sim("state").await["people"], 4);
    // Not one id with a slash, but a path that does not exist.
    assert_eq!(
        simulator.identify("a/b", &json!({})).await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn id_email_and_cio_id_lead_to_one_person() {
    let simulator = Simulator::start(Options::default()).await;
    simulator
        .identify("u", &json!({"email": "Ann@x.io", "plan": "a"}))
        .await;
    simulator
        .identify("ann%40X.io", &json!({"plan": "b"}))
        .await;
    let shown = simulator.send("GET", "/_sim/people/u", "", "").await;
    let cio_id = shown.headers["cio-id"].to_str().unwrap();
    let answer = simulator
        .batch(&json!([{"type": "person", "action": "identify",
            "identifiers": {"cio_id": cio_id}, "attributes": {"age": 3}}]))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({"email": "Ann@x.io", "plan": "b", "age": 3});
    for id in ["u", "ANN@x.io", &format!("cio_{cio_id}")] {
        assert_eq!(simulator.sim(&format!("people/{id}")).await, expected);
    }
    let gone = simulator
        .call("DELETE", "/api/v1/customers/ann@x.io", &json!({}))
        .await;
    assert_eq!(gone.status, StatusCode::OK);
    let shown = simulator.send("GET", "/_sim/people/u", "", "").await;
    assert_eq!(shown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn credentials_are_needed_and_checked_where_they_are_known() {
    let any = Simulator::start(Options::default()).await;
    let known = Simulator::start(Options {
        credentials: [("site".to_owned(), "?key?>".to_owned())].into(),
        ..Options::default()
    })
    .await;
    let url_safe = format!("Basic {}", URL_SAFE.encode("site:?key?>"));
    assert_ne!(url_safe, basic("site:?key?>"), "the alphabets must differ");
    let cases = [
        ("", 401, 401),
        ("Bearer x", 401, 401),
        (&basic(":"), 401, 401),
        (&basic("site:"), 401, 401),
        (&basic("site:other"), 200, 401),
        (&basic("other:?key?>"), 200, 401),
        (&basic("site:?key?>"), 200, 200),
        (&url_safe, 200, 200),
    ];
    for (authorization, without_list, with_list) in cases {
        for (simulator, expected) in [(&any, without_list), (&known, with_list)] {
            let answer = simulator
                .send("GET", "/api/v1/accounts/region", authorization, "")
                .await;
            assert_eq!(answer.status.as_u16(), expected, "{authorization}");
        }
    }
    known
        .send("PUT", "/api/v1/customers/u", &basic("site:other"), "{}")
        .await;
    assert_eq!(known.sim("state").await["people"], 0);
}

#[tokio::test]
async fn v1_refuses_in_its_own_form() {
    let simulator = Simulator::start(Options::default()).await;
    let long = "ü".repeat(51);
    let cases = [
        (json!({"name": " "}), "event name must not be blank"),
        (
            json!({ "name": long }),
            "event name cannot be longer than 100 bytes",
        ),
        (
            json!({"name": "n", "data": "x"}),
            "event data must be a hash",
        ),
        (json!("no object"), "request body must be a JSON object"),
    ];
    for (body, message) in &cases {
        let answer = simulator
            .call("POST", "/api/v1/customers/u/events", body)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let found: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(found, json!({"meta": {"error": message}}));
    }
    let huge = json!({"name": "n", "data": {"x": "x".repeat(1 << 20)}});
    assert_eq!(
        simulator.track("u", &huge).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let wrong_method = simulator
        .call("GET", "/api/v1/customers/u", &json!({}))
        .await;
    assert_eq!(wrong_method.status, StatusCode::METHOD_NOT_ALLOWED);
    let state = simulator.sim("state").await;
    assert_eq!(
        (&state["invalid"], &state["events"]),
        (&json!(4), &json!(0))
    );
}

#[tokio::test]
async fn a_batch_is_taken_but_for_the_items_that_are_named() {
    let simulator = Simulator::start(Options::default()).await;
    let answer = simulator
        .batch(&json!([
            person("identify", &json!({"attributes": {"a": 1}})),
            person(
                "identify",
                &json!({"attributes": {"suburb": "x".repeat(1001)}})
            ),
            person("event", &json!({"name": "bought"})),
            person("explode", &json!({})),
        ]))
        .await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = json!({"errors": [
        {"batch_index": 1, "reason": "invalid", "field": "attributes.suburb",
         "message": "property value cannot be longer than 1000 bytes"},
        {"batch_index": 3, "reason": "invalid", "field": "action",
         "message": "action explode of type person is not supported here"},
    ]});
    assert_eq!(found, expected);
    let state = simulator.sim("state").await;
    let counts = ["people", "identifies", "events", "invalid", "requests"];
    assert_eq!(
        counts.map(|name| state[name].as_u64().unwrap()),
        [1, 1, 1, 2, 1]
    );

    for body in [json!({}), json!({"batch": ["x".repeat(500_001)]})] {
        let answer = simulator.call("POST", "/api/v2/batch", &body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(text(&answer).contains("\"errors\":[{\"field\":\"batch\""));
    }
}

#[tokio::test]
async fn an_event_that_comes_again_is_ignored_whichever_way_it_comes() {
    let simulator = Simulator::start(Options::default()).await;
    let event = json!({"name": "bought", "id": ULID, "timestamp": 5});
    for _ in 0..2 {
        assert_eq!(simulator.track("u", &event).await, StatusCode::OK);
    }
    simulator.batch(&json!([person("event", &event)])).await;
    simulator.track("u", &json!({"name": "without id"})).await;
    let state = simulator.sim("state").await;
    assert_eq!(
        (&state["events"], &state["duplicates"]),
        (&json!(2), &json!(2))
    );

    let all = json!([
        {"sequence": 1, "id": ULID, "person": "u", "name": "bought", "type": "event", "timestamp": 5},
        {"sequence": 2, "id": null, "person": "u", "name": "without id", "type": "event", "timestamp": null},
    ]);
    assert_eq!(simulator.sim("events").await["events"], all);
    let after = simulator.sim("events?after=1&limit=5").await;
    assert_eq!(after["events"], json!([all[1]]));
    let first = simulator.sim("events?after=0&limit=1").await;
    assert_eq!(first["events"], json!([all[0]]));
}

#[tokio::test]
async fn attributes_are_ordered_by_the_time_they_speak_of() {
    let simulator = Simulator::start(Options::default()).await;
    let new = json!({"plan": "new", "_timestamp": 200, "_load_test": true});
    simulator.identify("u", &new).await;
    let old = json!({"plan": "old", "_timestamp": 100});
    simulator.identify("u", &old).await;
    simulator
        .batch(&json!([person(
            "identify",
            &json!({"timestamp": 150, "attributes": {"plan": "between", "city": "x"}})
        )]))
        .await;
    let expected = json!({"plan": "new", "city": "x", "_load_test": true});
    assert_eq!(simulator.sim("people/u").await, expected);

    simulator
        .identify("nobody", &json!({"_update": true, "a": 1}))
        .await;
    let state = simulator.sim("state").await;
    assert_eq!(
        (&state["people"], &state["dropped"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_form_is_answered_without_a_body() {
    let simulator = Simulator::start(Options::default()).await;
    let path = "/api/v1/forms/newsletter/submit";
    let form = json!({"data": {"id": "u", "plan": "a"}});
    let answer = simulator.call("POST", path, &form).await;
    assert_eq!((answer.status.as_u16(), text(&answer)), (204, ""));
    assert_eq!(simulator.sim("people/u").await, form["data"]);
    let answer = simulator.call("POST", path, &json!({"data": {}})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_devices_and_links_report_needs_no_credentials() {
    let simulator = Simulator::start(Options::default()).await;
    let cases = [
        ("/api/v1/push/events", 200),
        ("/push/events", 200),
        ("/api/v1/metrics", 200),
        ("/unsubscribe/d1", 200),
        ("/api/v1/events", 401),
        ("/api/v1/merge_customers", 401),
        ("/api/v1/segments/1/add_customers", 401),
    ];
    for (path, expected) in cases {
        let answer = simulator.send("POST", path, "", "{}").await;
        assert_eq!(answer.status.as_u16(), expected, "{path}");
    }
    let state = simulator.sim("state").await;
    let counts = ["requests", "reports", "unsubscribes"];
    assert_eq!(counts.map(|name| state[name].as_u64().unwrap()), [7, 3, 1]);
}

#[tokio::test]
async fn who_is_suppressed_stays_away_in_silence_until_that_is_lifted() {
    let simulator = Simulator::start(Options::default()).await;
    let call = async |path: &str| {
        let path = format!("/api/v1/customers/{path}");
        simulator.call("POST", &path, &json!({})).await.status
    };
    simulator.identify("u", &json!({"email": "u@x.io"})).await;
    assert_eq!(call("u/suppress").await, StatusCode::OK);
    let event = json!({"name": "n", "id": ULID});
    assert_eq!(simulator.track("u@x.io", &event).await, StatusCode::OK);
    let items = json!([person("identify", &json!({})), person("event", &event)]);
    assert_eq!(simulator.batch(&items).await.status, StatusCode::OK);
    let state = simulator.sim("state").await;
    let counts = ["people", "events", "suppressed", "dropped"];
    assert_eq!(
        counts.map(|name| state[name].as_u64().unwrap()),
        [0, 0, 1, 3]
    );

    assert_eq!(call("u@x.io/unsuppress").await, StatusCode::OK);
    simulator.track("u", &event).await;
    let state = simulator.sim("state").await;
    assert_eq!(
        (&state["events"], &state["suppressed"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn the_numbers_agree_with_the_arrivals() {
    let simulator = Simulator::start(Options::default()).await;
    for wave in 0..5 {
        let calls = (0..20).map(|index| {
            let id = format!("u{wave}-{index}");
            let simulator = &simulator;
            async move { simulator.identify(&id, &json!({})).await }
        });
        futures::future::join_all(calls).await;
    }
    // None of these is a request of the API.
    http::get(&format!("http://{}/", simulator.address)).await;
    simulator.call("GET", "/auth", &json!({})).await;
    let arrivals = simulator.sim("arrivals").await;
    let arrivals: Vec<u64> = serde_json::from_value(arrivals["arrivals_us"].clone()).unwrap();
    assert!(arrivals.is_sorted());
    let most = arrivals.iter().map(|from| {
        let second = *from..*from + 1_000_000;
        arrivals.iter().filter(|at| second.contains(at)).count()
    });
    let state = simulator.sim("state").await;
    assert_eq!(state["requests"], 100);
    assert_eq!(arrivals.len(), 100);
    assert_eq!(state["requests_by_status"], json!({"200": 100}));
    assert_eq!(state["max_requests_in_any_second"], most.max().unwrap());
    let tenths: Vec<u64> =
        serde_json::from_value(state["requests_per_100ms"]["counts"].clone()).unwrap();
    assert_eq!(tenths.iter().sum::<u64>(), 100);

    let reset = simulator.send("DELETE", "/_sim/state", "", "").await;
    assert_eq!(reset.status, StatusCode::NO_CONTENT);
    let state = simulator.sim("state").await;
    for name in ["requests", "people", "max_requests_in_any_second"] {
        assert_eq!(state[name], 0, "{name}");
    }
    let arrivals = simulator.sim("arrivals").await;
    assert_eq!(arrivals["arrivals_us"], json!([]));
}

#[tokio::test]
async fn prometheus_and_people_see_the_numbers() {
    let simulator = Simulator::start(Options::default()).await;
    let event = json!({"name": "n", "id": ULID});
    simulator.track("u", &event).await;
    simulator.track("u", &event).await;
    simulator.track("u", &json!({})).await;
    simulator.identify("u", &json!({})).await;
    let metrics = TextEncoder::new()
        .encode_to_string(&simulator.registry.gather())
        .unwrap();
    for line in [
        "cio_simulator_requests_total{status=\"200\"} 3",
        "cio_simulator_requests_total{status=\"400\"} 1",
        "cio_simulator_operations_total{operation=\"event\",result=\"taken\"} 1",
        "cio_simulator_operations_total{operation=\"event\",result=\"duplicate\"} 1",
        "cio_simulator_invalid_total 1",
        "cio_simulator_people 1",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let page = simulator.send("GET", "/", "", "").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(text(&page).contains("<td>duplicates</td><td>1</td>"));
    let unknown = simulator.send("GET", "/_sim/stat", "", "").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(text(&unknown).contains("/_sim/state"));
}

/// One identify through the router itself, so that time can be held still.
async fn identify(router: &Router, credentials: &str) -> (u16, Option<String>) {
    let request = Request::put("/api/v1/customers/u")
        .header("authorization", basic(credentials))
        .body(Body::empty())
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), retry_after)
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_for_each_site_in_any_span_of_one_second() {
    for retry_after_seconds in [None, Some(3)] {
        let options = Options {
            requests_per_second: Some(2),
            retry_after_seconds,
            ..Options::default()
        };
        let router = simulator::router(options, Clock::system(), &Registry::new()).unwrap();
        let header = retry_after_seconds.map(|seconds| seconds.to_string());
        let good = (200, None);
        let bad = (429, header);
        let steps = [
            (0, "a:k", &good),
            (600, "a:k", &good),
            (399, "a:k", &bad),
            (0, "b:k", &good),
            (1, "a:k", &good),
            (599, "a:k", &bad),
            (1, "a:k", &good),
        ];
        for (step, (milliseconds, site, expected)) in steps.into_iter().enumerate() {
            tokio::time::advance(Duration::from_millis(milliseconds)).await;
            assert_eq!(&identify(&router, site).await, expected, "step {step}");
        }
    }
}

#[tokio::test]
async fn the_command_serves_until_it_is_told_to_end() {
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = ["simulator", "--listen", &address, "--credentials", "s:k"];
    let cio = Cio::start(&arguments, &[]);
    let url = format!("http://{address}");
    eventually("the simulator is ready", async || {
        http::get(&format!("{url}/readyz")).await
    })
    .await;
    let (status, _) = http::get(&format!("{url}/api/v1/accounts/region"))
        .await
        .unwrap();
    assert_eq!(status, 401);
    let (_, metrics) = http::get(&format!("{url}/metrics")).await.unwrap();
    assert!(metrics.contains("cio_simulator_requests_total{status=\"401\"} 1"));
    let (code, log) = cio.terminate();
    assert_eq!(code, Some(0), "{log}");
    let start: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("it is not the real Customer.io"))
        .collect();
    assert_eq!(start.len(), 1, "{log}");
    assert!(start[0].contains(&address), "{log}");
}

#[tokio::test]
async fn the_command_ends_although_a_request_hangs() {
    let address = format!("127.0.0.1:{}", free_port());
    let fault = r#"{"match": {"path_prefix": "/api"}, "fault": "hang"}"#;
    let arguments = ["simulator", "--listen", &address, "--fault", fault];
    let cio = Cio::start(&arguments, &[]);
    let url = format!("http://{address}");
    eventually("the simulator is ready", async || {
        http::get(&format!("{url}/readyz")).await
    })
    .await;
    let hanging = format!("{url}/api/v1/accounts/region");
    let hanging = tokio::spawn(async move { http::get(&hanging).await });
    eventually("the request is there", async || {
        let (_, metrics) = http::get(&format!("{url}/metrics")).await?;
        metrics
            .contains("cio_simulator_faults_total 1")
            .then_some(())
    })
    .await;
    let (code, log) = tokio::task::spawn_blocking(|| cio.terminate())
        .await
        .unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(hanging.await.unwrap(), None);
}

#[test]
fn arguments_that_cannot_be_are_refused_with_a_remedy() {
    let cases: [(&[&str], &str); 7] = [
        (&["--tls-cert", "tls.crt"], "--tls-key"),
        (&["--drop-above-limit"], "--requests-per-second"),
        (&["--fault", "{\"fault\": \"burn\"}"], "reset_before"),
        (&["--credentials", "site"], "SITE:KEY"),
        (
            &["--credentials", "s:a", "--credentials", "s:b"],
            "give each site once",
        ),
        (
            &["--fault", "{\"status\": 9}"],
            "write an HTTP status from 200 to 599",
        ),
        (&["--retry-after", "1"], "--requests-per-second"),
    ];
    for (arguments, remedy) in cases {
        let (code, errors) = process::run(&[&["simulator"], arguments].concat(), &[]);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains(remedy), "{errors}");
    }
}
