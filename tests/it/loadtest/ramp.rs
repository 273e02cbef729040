//! The default profile as it is written, compared with the ideal ramp.

use std::time::Duration;

use cio_operator::loadtest::profile::Profile;
use cio_operator::loadtest::schedule::Schedule;

use super::Scene;

/// From a due time to the simulator: a wake-up, and a request's way. What is due at the end of a second is
/// looked for until so long after it.
const WAY: f64 = 0.05;
/// A machine that stalls for a few hundredths of a second makes iterations late. A schedule that is
/// wrong is so every time.
const TRIES: usize = 3;
/// Where processes had to wait for a processor in so much of the time, iterations are late at times
/// whatever starts them; then two thirds of the seconds are to be on the ramp.
const SHORT_OF_TIME: f64 = 0.25;

/// For how long some process had to wait for a processor, in seconds since boot, where Linux says so.
fn starved() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
    let total = text.lines().next()?.rsplit_once("total=")?.1;
    let us: f64 = total.parse().ok()?;
    Some(us / 1e6)
}

/// The arrivals beside the ideal, at the end of each second, in iterations.
struct Off {
    /// The most that were too early.
    early: f64,
    /// The most that were too late.
    late: f64,
    /// Seconds with more than one that was too late.
    seconds_late: usize,
}

/// How far the arrivals (in seconds) are from the ideal.
fn off_the_ramp(arrivals: &[f64], schedule: &Schedule) -> Off {
    let due = |number: usize| {
        let due = schedule.due(number as u64 + 1);
        due.expect("a due time").as_secs_f64()
    };
    // The simulator's clock is not the run's: iterations that are hardly late say how far they are apart.
    let delays = arrivals.iter().enumerate().map(|(at, it)| it - due(at));
    let mut delays: Vec<f64> = delays.collect();
    delays.sort_by(f64::total_cmp);
    let start = delays[delays.len() / 20];
    let arrived = |by: f64| arrivals.partition_point(|it| it - start <= by);
    let mut off = Off {
        early: 0.0,
        late: 0.0,
        seconds_late: 0,
    };
    for second in 1..=120_u32 {
        let end = f64::from(second);
        let ideal = schedule.ideal(Duration::from_secs(second.into()));
        let count = |number: usize| f64::from(u32::try_from(number).expect("a count"));
        off.early = off.early.max(count(arrived(end)) - ideal);
        let late = ideal - count(arrived(end + WAY));
        off.late = off.late.max(late);
        off.seconds_late += usize::from(late > 1.0);
    }
    off
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes and counts to the second, so it runs alone: make test-limit"]
async fn the_default_profile_is_within_one_iteration_of_the_ideal_ramp_in_every_second() {
    let schedule = Schedule::new(&Profile::default());
    for attempt in 1..=TRIES {
        let scene = Scene::start(&["--latency", "20"]).await;
        let before = starved();
        let (code, summary, log) = scene.run_beside(&["--max-users", "200"]).await;
        assert_eq!(code, Some(0), "{summary}{log}");
        assert!(
            log.contains("6150 iterations, 12300 requests in 2m"),
            "{log}"
        );
        for (name, count) in [("iterations", "6150"), ("http_reqs", "12300")] {
            let line = summary.lines().find(|it| it.contains(&format!(" {name}.")));
            let line = line.expect("a line").split(": ").nth(1).expect("a value");
            assert!(line.starts_with(&format!("{count} ")), "{summary}");
        }
        let numbers = scene.numbers().await;
        for (name, count) in [
            ("identifies", 6_150),
            ("events", 6_150),
            ("deletes", 6_150),
            ("people", 0),
        ] {
            assert_eq!(numbers[name], count, "{name}");
        }
        assert_eq!(scene.journals(), 0);

        let arrivals = scene.identify_arrivals().await;
        assert_eq!(arrivals.len(), 6_150);
        let off = off_the_ramp(&arrivals, &schedule);
        let waited = starved()
            .zip(before)
            .map_or(0.0, |(now, before)| ((now - before) / 120.0).min(1.0));
        println!(
            "at most {:.2} iterations early and {:.2} late at a second's end; {} seconds late; the machine was \
             short of time for {:.0} %",
            off.early,
            off.late,
            off.seconds_late,
            waited * 100.0
        );
        assert!(off.early <= 1.0, "{} iterations were too early", off.early);
        if off.late <= 1.0 || (waited > SHORT_OF_TIME && off.seconds_late <= 40) {
            return;
        }
        println!(
            "attempt {attempt}: {:.2} iterations late: a stall of the machine?",
            off.late
        );
    }
    panic!("iterations were late in each of {TRIES} runs");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes most of a minute: make test-limit"]
async fn the_default_profile_with_500s_crosses_the_threshold_that_the_summary_names() {
    let fault = r#"{"match": {"method": "POST"}, "status": 500, "share": 0.1}"#;
    let scene = Scene::start(&["--fault", fault]).await;
    let threshold = ["--threshold", "cio_errors: count<50 abortOnFail"];
    let (code, summary, log) = scene.run_beside(&threshold).await;
    assert_eq!(code, Some(99), "{summary}{log}");
    assert!(log.contains("crossed: cio_errors 'count<50'"), "{log}");
    let crossed = summary.lines().find(|it| it.contains('✗')).expect("a mark");
    assert!(
        crossed.contains("cio_errors") && crossed.contains("'count<50'"),
        "{summary}"
    );
    assert_eq!(scene.numbers().await["people"], 0);
}

#[test]
fn arrivals_are_compared_with_the_ramp() {
    let schedule = Schedule::new(&Profile::default());
    let due = (1..=6_150).map(|it| schedule.due(it).expect("a due time").as_secs_f64());
    let on_time: Vec<f64> = due.map(|it| it + 7.0).collect();
    let off = off_the_ramp(&on_time, &schedule);
    assert!(off.early <= 1.0 && off.late <= 1.0 && off.seconds_late == 0);
    // From shortly before the end of a second on, nothing comes for a tenth of a second.
    let end = on_time.partition_point(|it| *it <= 67.0);
    let mut held_back = on_time.clone();
    let until = on_time.partition_point(|it| *it <= 67.1);
    held_back[end - 3..until].fill(67.1);
    let off = off_the_ramp(&held_back, &schedule);
    assert!(off.late > 1.0 && off.seconds_late == 1);
    let mut ahead = on_time;
    ahead[end..end + 3].fill(66.99);
    ahead.sort_by(f64::total_cmp);
    assert!(off_the_ramp(&ahead, &schedule).early > 1.0);
}
