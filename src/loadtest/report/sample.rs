//! A report to test with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::build::{Facts, build, clean_up};
use super::document::{Report, Way};
use crate::delivery::operation::Kind;
use crate::loadtest::journal::Header;
use crate::loadtest::profile::Profile;
use crate::loadtest::recorder::{Exchange, Recorder};
use crate::loadtest::run::{Outcome, Removal};
use crate::loadtest::schedule::Schedule;
use crate::loadtest::series::Series;
use crate::loadtest::thresholds;

/// Ten seconds of the guide's profile, one of its requests answered with 500.
pub(super) fn report() -> Report {
    made(Way::Api, 0, |numbers, second| {
        iteration(numbers, second * 10, if second == 5 { 500 } else { 200 });
    })
}

/// The same through the queue: one job failed, one was not added, one is in doubt.
pub(super) fn queued() -> Report {
    made(Way::Queue, 1, |numbers, second| {
        let ms = Duration::from_millis;
        numbers.started += 1;
        numbers.completed += 1;
        numbers.enqueued(Kind::Identify, Some(ms(2)));
        numbers.enqueued(Kind::Track, (second != 3).then_some(ms(3)));
        numbers.ended(Kind::Identify, (second != 4).then_some(ms(40 * second)));
        if ![3, 10].contains(&second) {
            numbers.ended(Kind::Track, Some(ms(50 * second)));
        }
    })
}

fn made(way: Way, doubtful: usize, mut second: impl FnMut(&mut Recorder, u64)) -> Report {
    let (profile, mut numbers) = (Profile::default(), Recorder::default());
    let mut series = Series::new(Schedule::new(&profile));
    for number in 1..=10 {
        second(&mut numbers, number);
        series.look(Duration::from_secs(number), &numbers);
    }
    numbers.allocated = 20;
    let elapsed = Duration::from_millis(10_100);
    series.end(elapsed, &numbers);
    let parsed: Vec<_> = way
        .thresholds()
        .iter()
        .map(|it| thresholds::parse(it).unwrap())
        .collect();
    let outcome = Outcome {
        judged: thresholds::judge(&parsed, &numbers, elapsed),
        numbers,
        elapsed,
        planned: Schedule::new(&profile).total(),
        adapt: None,
        interrupted: false,
        unfinished: None,
    };
    let mut report = build(Facts {
        header: &Header {
            run: "01J8Z3M5T8Q9X2V4B6N7C1D0EF".to_owned(),
            site_id: "site".to_owned(),
            url: "http://127.0.0.1:8080".to_owned(),
        },
        region: "us",
        way,
        profile: &profile,
        started_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        outcome: &outcome,
        series: &series,
    });
    let removal = Removal {
        created: 10,
        failed: 0,
        gave_up: false,
        left: Some(0),
    };
    report.clean_up = Some(clean_up(removal, doubtful));
    report
}

fn iteration(numbers: &mut Recorder, ms: u64, status: u16) {
    numbers.started += 1;
    numbers.completed += 1;
    numbers
        .iterations
        .record(Duration::from_millis(2 * ms + 100));
    for (kind, nth) in [(Kind::Identify, 1), (Kind::Track, 2)] {
        numbers.exchange(Exchange {
            kind,
            status: Some(status),
            from_send: Duration::from_millis(ms),
            from_schedule: Duration::from_millis(nth * ms),
            timed_out: false,
            sent: 0,
            received: 0,
        });
    }
}

#[test]
fn through_the_queue_they_do_too() {
    let report = queued();
    let totals = &report.totals;
    let sum = |of: fn(&crate::loadtest::series::Point) -> u64| report.series.iter().map(of).sum();
    assert_eq!((sum(|it| it.requests), sum(|it| it.answered)), (20, 18));
    assert_eq!(
        (totals.requests, totals.answered, totals.errors),
        (20, 18, 2)
    );
    let binned = |of: fn(&super::bins::Bin) -> u64| report.histogram.iter().map(of).sum::<u64>();
    assert_eq!((binned(|it| it.enqueue), binned(|it| it.lag)), (19, 17));
    let empty = |it: &super::bins::Bin| it.from_send + it.from_schedule;
    assert_eq!(binned(empty), 0);
}

#[test]
fn the_series_and_the_bins_add_up_to_the_totals() {
    let report = report();
    let sum =
        |of: fn(&crate::loadtest::series::Point) -> u64| report.series.iter().map(of).sum::<u64>();
    let totals = &report.totals;
    assert_eq!(
        (sum(|it| it.completed), sum(|it| it.requests)),
        (totals.completed, totals.requests)
    );
    assert_eq!((sum(|it| it.errors), totals.errors), (2, 2));
    assert_eq!(totals.statuses, BTreeMap::from([(200, 18), (500, 2)]));
    let binned = |of: fn(&super::bins::Bin) -> u64| report.histogram.iter().map(of).sum::<u64>();
    assert_eq!(
        (binned(|it| it.from_send), binned(|it| it.from_schedule)),
        (20, 20)
    );
    assert_eq!(report.latencies.all.from_schedule.count, 20);
}
