//! What a worker counts, after a run of which everything is known.

use serde_json::{Value, json};

use super::{Fleet, count};
use crate::support::eventually;
use crate::worker::bench::{QUEUE, add, all_finished, many};

const TRACKS: usize = 30;
const IDENTIFIES: usize = 12;
/// Of the identify jobs, those that Customer.io refuses.
const REFUSED: u64 = 3;

fn identifies() -> impl Iterator<Item = (String, Value)> {
    (0..IDENTIFIES).map(|n| {
        let data = json!({"userId": format!("person-{n}"), "data": {"n": n}, "enqueuedAt": 1_700_000_000_000_u64});
        ("identify".to_owned(), data)
    })
}

/// Each series of this family that is not what it should be; what is not named should be 0.
fn wrong(
    page: &std::collections::BTreeMap<String, f64>,
    family: &str,
    expected: &[(&str, u64)],
) -> Vec<String> {
    let start = format!("{family}{{");
    let ours = page.keys().filter(|series| series.starts_with(&start));
    let of = |series: &str| {
        let labels = &series[start.len()..series.len() - 1];
        let named = expected.iter().find(|(wanted, _)| *wanted == labels);
        named.map_or(0, |(_, count)| *count)
    };
    let mut wrong: Vec<String> = ours
        .filter(|series| count(page, series) != of(series))
        .map(|series| format!("{series} {}", page[series]))
        .collect();
    let there = |labels: &str| page.contains_key(&format!("{start}{labels}}}"));
    let missing = expected.iter().filter(|(labels, _)| !there(labels));
    wrong.extend(missing.map(|(labels, _)| format!("no {start}{labels}}}")));
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn in_single_mode_every_request_and_every_job_is_counted_once() {
    let mut fleet = Fleet::new(&[]).await;
    let faults = json!([
        {"match": {"method": "PUT"}, "status": 400, "times": REFUSED},
        {"match": {"method": "POST"}, "status": 503, "times": 1},
    ]);
    fleet.simulator.faults(&faults).await;
    let queue = fleet.queue(QUEUE).await;
    add(&queue, many(TRACKS, TRACKS)).await;
    add(&queue, identifies()).await;
    add(&queue, [("unknown".to_owned(), json!({"userId": "u"}))]).await;
    fleet.work(&[]).await;
    let (tracks, identifies) = (TRACKS as u64, IDENTIFIES as u64);
    let all = tracks + identifies + 1;
    assert_eq!(
        all_finished(&queue, all).await,
        (all - REFUSED - 1, REFUSED + 1)
    );

    let delivered = tracks + identifies - REFUSED;
    let page = fleet.metrics(0).await;
    let requests = [
        (r#"status_class="2xx""#, delivered),
        (r#"status_class="4xx""#, REFUSED),
        (r#"status_class="5xx""#, 1),
    ];
    let jobs = [
        (r#"operation="track",outcome="delivered""#, tracks),
        (
            r#"operation="identify",outcome="delivered""#,
            identifies - REFUSED,
        ),
        (r#"operation="identify",outcome="rejected""#, REFUSED),
        (r#"operation="unknown",outcome="rejected""#, 1),
    ];
    let lag = [
        (r#"operation="track""#, tracks),
        (r#"operation="identify""#, identifies - REFUSED),
    ];
    for (family, expected) in [
        ("cio_delivery_requests_total", &requests[..]),
        ("cio_delivery_jobs_total", &jobs),
        ("cio_delivery_lag_seconds_count", &lag),
    ] {
        assert_eq!(wrong(&page, family, expected), Vec::<String>::new());
    }
    let sent = delivered + REFUSED + 1;
    assert_eq!(fleet.simulator.requests().await, sent);
    for histogram in [
        "cio_delivery_duration_seconds_count",
        "cio_delivery_batch_operations_sum",
    ] {
        assert_eq!(count(&page, histogram), sent, "{histogram}");
    }
    fleet.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_batch_mode_the_operations_of_the_requests_are_the_jobs() {
    const JOBS: usize = 300;
    let mut fleet = Fleet::new(&["--fault", r#"{"status": 207, "times": 1}"#]).await;
    let queue = fleet.queue(QUEUE).await;
    add(&queue, many(JOBS, JOBS)).await;
    fleet.work(&[("CIO_DELIVERY_MODE", "batch")]).await;
    let jobs = JOBS as u64;
    assert_eq!(all_finished(&queue, jobs).await, (jobs - 1, 1));

    let page = fleet.metrics(0).await;
    let whole = fleet.simulator.answers(200).await;
    let requests = [
        (r#"status_class="2xx""#, whole),
        (r#"status_class="207""#, 1),
    ];
    let outcomes = [
        (r#"operation="track",outcome="delivered""#, jobs - 1),
        (r#"operation="track",outcome="rejected""#, 1),
    ];
    let lag = [(r#"operation="track""#, jobs - 1)];
    for (family, expected) in [
        ("cio_delivery_requests_total", &requests[..]),
        ("cio_delivery_jobs_total", &outcomes),
        ("cio_delivery_lag_seconds_count", &lag),
    ] {
        assert_eq!(wrong(&page, family, expected), Vec::<String>::new());
    }
    assert_eq!(count(&page, "cio_delivery_batch_operations_sum"), jobs);
    assert_eq!(
        count(&page, "cio_delivery_batch_operations_count"),
        whole + 1
    );
    assert_eq!(
        count(&page, "cio_delivery_duration_seconds_count"),
        whole + 1
    );
    // It is given back when a job's end is written down, which is after its answer.
    eventually("nothing in flight", async || {
        let page = fleet.metrics(0).await;
        (count(&page, "cio_delivery_in_flight_bytes") == 0).then_some(())
    })
    .await;
    fleet.end();
}
