//! A server that stands still in the middle: the latency from schedule is what its own log of arrivals
//! says the waiting was.

use std::time::Duration;

use tokio::time::sleep;

use super::Scene;

const PER_SECOND: u32 = 50;
const SECONDS: u32 = 10;
const STALL: Duration = Duration::from_secs(2);
/// To the simulator and back, on a machine that has time.
const WAY: f64 = 0.1;
/// Percentiles that are asked for: from 50 % of 500 iterations on, one every iteration.
const STEP: f64 = 0.2;

/// How many of `total` requests took longer than a second, by the percentiles in the summary.
fn longer_than_a_second(summary: &str, metric: &str, total: f64) -> f64 {
    let values = summary.lines().filter_map(|line| {
        let (name, rest) = line
            .trim()
            .split_once(".: ")
            .or(line.trim().split_once(": "))?;
        let (expression, value) = rest.split_once("value=")?;
        let percent: f64 = expression.split(['(', ')']).nth(1)?.parse().ok()?;
        let value: f64 = value.parse().ok()?;
        (name.trim_end_matches('.') == metric).then_some((percent, value))
    });
    let below = values.filter(|(_, value)| *value <= 1_000.0);
    let share = below.map(|(percent, _)| percent).fold(0.0, f64::max);
    total * (100.0 - share) / 100.0
}

/// How long each iteration waited until its identify call arrived, by the simulator's clock: they are
/// due in even steps, and the least late one says how far the clocks are apart.
fn waits(arrivals: &[f64]) -> Vec<f64> {
    let step = 1.0 / f64::from(PER_SECOND);
    let due = (0_u32..).map(|number| f64::from(number) * step);
    let delays: Vec<f64> = arrivals.iter().zip(due).map(|(at, due)| at - due).collect();
    let least = delays.iter().copied().fold(f64::INFINITY, f64::min);
    delays.into_iter().map(|it| it - least).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "counts to the millisecond, so it runs alone: make test-limit"]
async fn the_latency_from_schedule_of_a_stall_is_what_the_simulator_knows_of_it() {
    let scene = Scene::start(&[]).await;
    let metrics = [
        "cio_identify_latency_from_schedule",
        "cio_track_latency_from_schedule",
    ];
    let mut arguments: Vec<String> = ["--max-users", "300", "--pre-allocated-users", "300"]
        .map(str::to_owned)
        .to_vec();
    arguments.extend(["--rate".to_owned(), PER_SECOND.to_string()]);
    arguments.extend(["--duration".to_owned(), format!("{SECONDS}s")]);
    for metric in metrics {
        for step in 0_u32..=250 {
            let percent = 50.0 + STEP * f64::from(step);
            arguments.push("--threshold".to_owned());
            arguments.push(format!("{metric}: p({percent:.1})>=0"));
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let stall = async {
        while scene.identify_arrivals().await.len() < 150 {
            sleep(Duration::from_millis(20)).await;
        }
        scene.simulator.signal("STOP");
        sleep(STALL).await;
        scene.simulator.signal("CONT");
    };
    let ((code, summary, log), ()) = tokio::join!(scene.run_beside(&arguments), stall);
    assert_eq!(code, Some(0), "{summary}{log}");

    let arrivals = scene.identify_arrivals().await;
    let total = f64::from(PER_SECOND * SECONDS);
    assert_eq!(arrivals.len(), 500);
    let gap = arrivals
        .windows(2)
        .map(|it| it[1] - it[0])
        .fold(0.0, f64::max);
    assert!(
        gap >= STALL.as_secs_f64(),
        "the simulator stood still for {gap} s"
    );
    let waits = waits(&arrivals);
    let above = |seconds: f64| {
        let count = waits.iter().filter(|it| **it > seconds).count();
        f64::from(u32::try_from(count).expect("a count"))
    };
    let (known, near) = (above(1.0), above(1.0 - WAY) - above(1.0 + WAY));
    let ideal = f64::from(PER_SECOND) * (gap - 1.0);
    println!("stall {gap:.2} s: {known} by the simulator, {ideal:.1} ideal, margin {near}");
    assert!(
        (known - ideal).abs() <= near + 1.0,
        "{known} {ideal} ± {near}"
    );
    // The tool counts until an answer: how much longer that is, the request that waited longest says.
    let longest = waits.iter().copied().fold(0.0, f64::max);
    for metric in metrics {
        let later = (most(&summary, metric) / 1_000.0 - longest).max(0.0);
        let seen = longer_than_a_second(&summary, metric, total);
        let most = above(1.0 - WAY - later);
        println!(
            "{metric}: {seen:.1} longer than a second, from {known} to {most}; {later:.2} s later"
        );
        assert!(seen >= known - 1.0, "{metric}: {seen}, {known}");
        assert!(seen <= most + 1.0, "{metric}: {seen}, {most}");
        assert!(later < 1.0, "the machine has no time for this test");
    }
}

/// The largest value of a metric in the summary, in ms.
fn most(summary: &str, metric: &str) -> f64 {
    let mut lines = summary.lines().filter(|it| it.contains(" max="));
    let line = lines.find(|it| it.trim().split('.').next() == Some(metric));
    let value = line.and_then(|it| it.split_once(" max=")?.1.split_once("ms"));
    value.expect("a maximum").0.parse().expect("a number")
}
