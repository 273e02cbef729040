//! Faults on demand, slowness and silent loss.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use cio_operator::runtime::clock::Clock;
use cio_operator::runtime::http_client::TransportError;
use cio_operator::simulator::{self, Options, Rule};
use http_body_util::Full;
use hyper::{Request, StatusCode};
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;

use super::{Simulator, basic, identify, text};

#[tokio::test]
async fn faults_are_set_seen_and_cleared() {
    let simulator = Simulator::start(Options {
        faults: vec![Rule::parse(r#"{"status": 500, "times": 1}"#).unwrap()],
        ..Options::default()
    })
    .await;
    let statuses = async || {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(simulator.identify("u", &json!({})).await.as_u16());
        }
        statuses
    };
    assert_eq!(statuses().await, [500, 200, 200, 200]);

    let rules = json!([{"match": {"method": "PUT", "path_prefix": "/api/v1"}, "status": 429,
                        "retry_after_seconds": 7, "latency_ms": 1, "share": 0.5, "times": null}]);
    let set = simulator
        .send("PUT", "/_sim/faults", "", &rules.to_string())
        .await;
    assert_eq!(set.status, StatusCode::NO_CONTENT);
    assert_eq!(simulator.sim("faults").await[0]["status"], 429);
    assert_eq!(statuses().await, [200, 429, 200, 429]);
    assert_eq!(
        simulator.track("u", &json!({"name": "n"})).await,
        StatusCode::OK
    );

    let bad = simulator
        .send("PUT", "/_sim/faults", "", r#"[{"share": 3}]"#)
        .await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(text(&bad).contains("share of a rule is 3: write a number from 0 to 1"));

    simulator.send("DELETE", "/_sim/faults", "", "").await;
    assert_eq!(simulator.sim("faults").await, json!([]));
    assert_eq!(statuses().await, [200; 4]);
    let state = simulator.sim("state").await;
    assert_eq!(
        state["requests_by_status"],
        json!({"200": 10, "429": 2, "500": 1})
    );
}

#[tokio::test]
async fn a_fault_with_retry_after_stores_nothing() {
    let simulator = Simulator::start(Options::default()).await;
    let rules = r#"[{"status": 503, "retry_after_seconds": 7}]"#;
    simulator.send("PUT", "/_sim/faults", "", rules).await;
    let answer = simulator
        .call("PUT", "/api/v1/customers/u", &json!({}))
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(simulator.sim("state").await["people"], 0);
}

#[tokio::test]
async fn a_connection_breaks_off_before_or_after_the_request_is_taken() {
    let simulator = Simulator::start(Options::default()).await;
    let identify = async |id: &str| {
        let request = Request::put(format!(
            "http://{}/api/v1/customers/{id}",
            simulator.address
        ))
        .header("authorization", basic("site:key"));
        let request = request.body(Full::default()).unwrap();
        simulator.client.send(request).await
    };
    for (fault, stored) in [("reset_before", 0), ("reset_after", 1)] {
        let rules = json!([{"match": {"path_prefix": "/api"}, "fault": fault, "times": 2}]);
        simulator
            .send("PUT", "/_sim/faults", "", &rules.to_string())
            .await;
        for id in ["a", "b"] {
            let error = identify(id).await.unwrap_err();
            assert!(matches!(error, TransportError::Broken(_)), "{error}");
        }
        assert_eq!(simulator.sim("state").await["people"], 2 * stored);
        assert_eq!(identify("a").await.unwrap().status, StatusCode::OK);
        simulator.send("DELETE", "/_sim/state", "", "").await;
    }
}

#[tokio::test]
async fn a_dropped_request_is_answered_like_any_other() {
    let simulator = Simulator::start(Options {
        faults: vec![Rule::parse(r#"{"fault": "drop", "times": 1}"#).unwrap()],
        ..Options::default()
    })
    .await;
    for people in [0, 1] {
        let path = "/api/v1/customers/u";
        let answer = simulator.call("PUT", path, &json!({})).await;
        assert_eq!((answer.status.as_u16(), text(&answer)), (200, "{}\n"));
        let state = simulator.sim("state").await;
        assert_eq!(
            (&state["people"], &state["dropped"]),
            (&json!(people), &json!(1))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_request_is_not_answered() {
    let options = Options {
        faults: vec![Rule::parse(r#"{"fault": "hang", "times": 1}"#).unwrap()],
        ..Options::default()
    };
    let router = simulator::router(options, Clock::system(), &Registry::new()).unwrap();
    let minute = Duration::from_mins(1);
    let hung = tokio::time::timeout(minute, identify(&router, "a:k")).await;
    assert!(hung.is_err());
    assert_eq!(identify(&router, "a:k").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn an_outage_lasts_as_long_as_its_rule_says_from_its_first_request() {
    let options = Options {
        faults: vec![Rule::parse(r#"{"status": 503, "for_ms": 60000}"#).unwrap()],
        ..Options::default()
    };
    let router = simulator::router(options, Clock::system(), &Registry::new()).unwrap();
    // Nobody comes for long: the outage has not begun.
    for (waits, status) in [(3_600, 503), (59, 503), (1, 200), (3_600, 200)] {
        tokio::time::advance(Duration::from_secs(waits)).await;
        assert_eq!(identify(&router, "a:k").await.0, status, "{waits}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_above_the_limit_may_be_lost_in_silence() {
    let options = Options {
        requests_per_second: Some(1),
        drop_above_limit: true,
        ..Options::default()
    };
    let router = simulator::router(options, Clock::system(), &Registry::new()).unwrap();
    for _ in 0..3 {
        assert_eq!(identify(&router, "a:k").await, (200, None));
    }
    let request = Request::get("/_sim/state").body(Body::empty()).unwrap();
    let state = router.oneshot(request).await.unwrap().into_body();
    let state: Value = serde_json::from_slice(&to_bytes(state, 1 << 20).await.unwrap()).unwrap();
    let counts = ["identifies", "dropped", "throttled"];
    assert_eq!(counts.map(|name| state[name].as_u64().unwrap()), [1, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn every_answer_takes_the_latency_and_a_fault_adds_its_own() {
    let options = Options {
        latency: Duration::from_millis(250),
        faults: vec![Rule::parse(r#"{"latency_ms": 1000, "times": 1}"#).unwrap()],
        ..Options::default()
    };
    let router = simulator::router(options, Clock::system(), &Registry::new()).unwrap();
    for expected in [1_250, 250] {
        let asked = Instant::now();
        assert_eq!(identify(&router, "a:k").await.0, 200);
        assert_eq!(asked.elapsed().as_millis(), expected);
    }
}

#[tokio::test]
async fn a_batch_is_refused_in_part_and_a_call_is_sent_elsewhere() {
    let rules = [
        r#"{"match": {"path_prefix": "/api/v2"}, "status": 207, "times": 1}"#,
        r#"{"match": {"method": "GET"}, "status": 307, "location": "https://track-eu.customer.io"}"#,
    ];
    let simulator = Simulator::start(Options {
        faults: rules.map(|rule| Rule::parse(rule).unwrap()).to_vec(),
        ..Options::default()
    })
    .await;
    let identify =
        |id: &str| json!({"type": "person", "action": "identify", "identifiers": {"id": id}});
    let items = json!([identify("a"), identify("b")]);
    let answer = simulator.batch(&items).await;
    assert_eq!(answer.status, StatusCode::MULTI_STATUS);
    let errors: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(errors["errors"].as_array().unwrap().len(), 1);
    assert_eq!(errors["errors"][0]["batch_index"], 0);
    let answer = simulator.batch(&json!([identify("c")])).await;
    assert_eq!(answer.status, StatusCode::OK);
    let state = simulator.sim("state").await;
    assert_eq!(
        (&state["people"], &state["invalid"]),
        (&json!(2), &json!(1))
    );
    let path = "/api/v1/accounts/region?x=1";
    let answer = simulator.call("GET", path, &json!({})).await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    let location = format!("https://track-eu.customer.io{path}");
    assert_eq!(answer.headers["location"], location);
}
