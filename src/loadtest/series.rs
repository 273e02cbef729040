//! A run second by second: pure, from the differences of the numbers at each look at them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::Counts;
use super::histogram::Histogram;
use super::recorder::Recorder;
use super::schedule::Schedule;

/// More points than a plot has room for; then two and two become one.
const MOST_POINTS: usize = 1_200;

/// What happened in one stretch of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When it begins, in seconds since the start.
    pub from_s: f64,
    /// When it ends.
    pub until_s: f64,
    /// Iterations that were due.
    pub scheduled: u64,
    /// Iterations that began.
    pub started: u64,
    /// Iterations that came to their end.
    pub completed: u64,
    /// Iterations for which no user was free.
    pub dropped: u64,
    /// Requests that were answered or given up; through the queue, jobs that were to be added.
    pub requests: u64,
    /// Requests that were answered; through the queue, jobs that came to their end.
    #[serde(default)]
    pub answered: u64,
    /// Requests without an answer.
    pub unanswered: u64,
    /// Answers that were not 200, and requests without one.
    pub errors: u64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Users in use at its end; the most of them where points were joined.
    pub users: usize,
    /// Latency from send, of both kinds of request; nothing where nothing was answered.
    pub from_send: Option<Percentiles>,
    /// Latency from schedule, likewise.
    pub from_schedule: Option<Percentiles>,
    /// Of adding a job; only through the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enqueue: Option<Percentiles>,
    /// From before a job was added until its completion was heard of; only through the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Percentiles>,
}

/// Latencies in ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of them are below it.
    pub p50: f64,
    /// 95 of 100.
    pub p95: f64,
    /// 99 of 100.
    pub p99: f64,
}

/// The points of a run that goes on.
#[derive(Debug)]
pub struct Series {
    schedule: Schedule,
    most: usize,
    /// How many looks make one point.
    looks_per_point: usize,
    slots: Vec<Slot>,
    /// At the last look.
    scheduled: u64,
    until: Duration,
    numbers: Recorder,
}

/// A point that others may still be joined to.
#[derive(Debug, Clone)]
struct Slot {
    looks: usize,
    point: Point,
    latencies: Latencies,
}

/// The latencies that a point's percentiles are of.
#[derive(Debug, Clone)]
struct Latencies {
    from_send: Counts,
    from_schedule: Counts,
    enqueue: Counts,
    lag: Counts,
}

impl Series {
    /// An empty one; `schedule` says how many iterations are due.
    pub fn new(schedule: Schedule) -> Self {
        Self::with_room(schedule, MOST_POINTS)
    }

    fn with_room(schedule: Schedule, most: usize) -> Self {
        Self {
            schedule,
            most,
            looks_per_point: 1,
            slots: Vec::new(),
            scheduled: 0,
            until: Duration::ZERO,
            numbers: Recorder::default(),
        }
    }

    /// Takes in the numbers as they are `elapsed` after the start.
    pub fn look(&mut self, elapsed: Duration, numbers: &Recorder) {
        let slot = self.slot(elapsed, numbers);
        match self.slots.last_mut() {
            Some(last) if last.looks < self.looks_per_point => last.join(&slot),
            _ => self.slots.push(slot),
        }
        if self.slots.len() > self.most {
            self.halve();
        }
    }

    /// Takes in the numbers as they are at the end. A remainder of less than half a point would be
    /// a rate of its own noise: it belongs to the last one.
    pub fn end(&mut self, elapsed: Duration, numbers: &Recorder) {
        let rest = self.slot(elapsed, numbers);
        let short = |last: &Slot| rest.point.length() < last.point.length() / 2.0;
        match self.slots.last_mut() {
            Some(last) if short(last) => last.join(&rest),
            _ => self.slots.push(rest),
        }
    }

    /// What there is.
    pub fn points(&self) -> Vec<Point> {
        let finished = |slot: &Slot| Point {
            from_send: percentiles(&slot.latencies.from_send),
            from_schedule: percentiles(&slot.latencies.from_schedule),
            enqueue: percentiles(&slot.latencies.enqueue),
            lag: percentiles(&slot.latencies.lag),
            ..slot.point.clone()
        };
        self.slots.iter().map(finished).collect()
    }

    /// What is new since the last look.
    fn slot(&mut self, elapsed: Duration, numbers: &Recorder) -> Slot {
        let scheduled = self.schedule.due_by(elapsed);
        let before = std::mem::replace(&mut self.numbers, numbers.clone());
        let point = Point {
            from_s: self.until.as_secs_f64(),
            until_s: elapsed.as_secs_f64(),
            scheduled: scheduled - self.scheduled,
            started: numbers.started - before.started,
            completed: numbers.completed - before.completed,
            dropped: numbers.dropped - before.dropped,
            requests: numbers.requests - before.requests,
            answered: numbers.answered - before.answered,
            unanswered: (numbers.requests + before.answered)
                .saturating_sub(numbers.answered + before.requests),
            errors: numbers.errors - before.errors,
            statuses: more(&numbers.statuses, &before.statuses),
            users: numbers.users,
            from_send: None,
            from_schedule: None,
            enqueue: None,
            lag: None,
        };
        (self.scheduled, self.until) = (scheduled, elapsed);
        Slot {
            looks: 1,
            point,
            latencies: Latencies::since(numbers, &before),
        }
    }

    /// Joins two and two.
    fn halve(&mut self) {
        self.looks_per_point *= 2;
        let pairs = self.slots.chunks(2).map(|pair| {
            let mut joined = pair[0].clone();
            pair.iter().skip(1).for_each(|other| joined.join(other));
            joined
        });
        self.slots = pairs.collect();
    }
}

impl Slot {
    fn join(&mut self, later: &Self) {
        self.looks += later.looks;
        self.latencies.add(&later.latencies);
        let (point, later) = (&mut self.point, &later.point);
        point.until_s = later.until_s;
        point.scheduled += later.scheduled;
        point.started += later.started;
        point.completed += later.completed;
        point.dropped += later.dropped;
        point.requests += later.requests;
        point.answered += later.answered;
        point.unanswered += later.unanswered;
        point.errors += later.errors;
        for (status, count) in &later.statuses {
            *point.statuses.entry(*status).or_default() += count;
        }
        point.users = point.users.max(later.users);
    }
}

impl Latencies {
    fn since(now: &Recorder, before: &Recorder) -> Self {
        let since = |of: fn(&Recorder) -> &Histogram| Counts::since(of(now), of(before));
        let mut from_schedule = since(|it| &it.identify.from_schedule);
        from_schedule.add(&since(|it| &it.track.from_schedule));
        Self {
            from_send: since(|it| &it.all),
            from_schedule,
            enqueue: since(|it| &it.enqueue),
            lag: since(|it| &it.lag),
        }
    }

    fn add(&mut self, later: &Self) {
        self.from_send.add(&later.from_send);
        self.from_schedule.add(&later.from_schedule);
        self.enqueue.add(&later.enqueue);
        self.lag.add(&later.lag);
    }
}

impl Point {
    /// How long it lasted, in seconds.
    pub fn length(&self) -> f64 {
        self.until_s - self.from_s
    }
}

fn more(after: &BTreeMap<u16, u64>, before: &BTreeMap<u16, u64>) -> BTreeMap<u16, u64> {
    let less = |status| before.get(status).copied().unwrap_or(0);
    let counts = after
        .iter()
        .map(|(status, count)| (*status, count - less(status)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn percentiles(counts: &Counts) -> Option<Percentiles> {
    Some(Percentiles {
        p50: counts.percentile(50)?,
        p95: counts.percentile(95)?,
        p99: counts.percentile(99)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::operation::Kind;
    use crate::loadtest::profile::Profile;
    use crate::loadtest::recorder::Exchange;

    const SECOND: Duration = Duration::from_secs(1);

    fn series(most: usize) -> Series {
        let profile = Profile::default().constant(10.0, 10 * SECOND);
        Series::with_room(Schedule::new(&profile), most)
    }

    /// An iteration whose requests take `ms` each.
    fn iteration(numbers: &mut Recorder, status: Option<u16>, ms: u64) {
        numbers.started += 1;
        numbers.completed += 1;
        for (kind, nth) in [(Kind::Identify, 1), (Kind::Track, 2)] {
            numbers.exchange(Exchange {
                kind,
                status,
                from_send: Duration::from_millis(ms),
                from_schedule: Duration::from_millis(nth * ms),
                timed_out: false,
                sent: 0,
                received: 0,
            });
        }
    }

    fn total(points: &[Point], of: impl Fn(&Point) -> u64) -> u64 {
        points.iter().map(of).sum()
    }

    #[test]
    fn a_point_is_what_is_new_since_the_one_before() {
        let (mut series, mut numbers) = (series(100), Recorder::default());
        iteration(&mut numbers, Some(200), 20);
        series.look(SECOND, &numbers);
        iteration(&mut numbers, Some(500), 90);
        iteration(&mut numbers, None, 0);
        (numbers.users, numbers.dropped) = (3, 4);
        series.look(2 * SECOND, &numbers);
        series.look(3 * SECOND, &numbers);
        let points = series.points();
        let second = &points[1];
        assert_eq!(
            (points[0].scheduled, points[0].errors, points[0].requests),
            (10, 0, 2)
        );
        assert_eq!(
            (second.completed, second.requests, second.dropped),
            (2, 4, 4)
        );
        assert_eq!((second.errors, second.unanswered, second.users), (4, 2, 3));
        assert_eq!(second.statuses, BTreeMap::from([(500, 2)]));
        let p50 = |it: Option<Percentiles>| it.map_or(0.0, |it| it.p50).round();
        assert_eq!(
            (p50(points[0].from_send), p50(second.from_send)),
            (20.0, 90.0)
        );
        assert_eq!(second.from_schedule.map(|it| it.p99), Some(180.0));
        assert_eq!((points[2].requests, points[2].from_send), (0, None));
    }

    #[test]
    fn a_long_run_has_wider_points_and_the_same_sums() {
        let (mut series, mut numbers) = (series(8), Recorder::default());
        for second in 1..=100 {
            iteration(&mut numbers, Some(if second == 50 { 429 } else { 200 }), 10);
            numbers.users = second;
            series.look(u32::try_from(second).unwrap() * SECOND, &numbers);
        }
        series.end(100 * SECOND + SECOND / 10, &numbers);
        let points = series.points();
        assert!((4..=9).contains(&points.len()), "{}", points.len());
        assert_eq!(total(&points, |it| it.requests), numbers.requests);
        assert_eq!(total(&points, |it| it.scheduled), 100);
        assert_eq!(
            total(&points, |it| it.statuses.get(&429).copied().unwrap_or(0)),
            2
        );
        assert_eq!(
            points.last().map(|it| (it.users, it.until_s)),
            Some((100, 100.1))
        );
        for pair in points.windows(2) {
            assert_eq!(pair[0].until_s.to_bits(), pair[1].from_s.to_bits());
        }
    }

    #[test]
    fn through_the_queue_a_point_has_what_was_added_and_what_came_to_its_end() {
        let (mut series, mut numbers) = (series(100), Recorder::default());
        for ms in [2, 4] {
            numbers.enqueued(Kind::Track, Some(Duration::from_millis(ms)));
        }
        numbers.enqueued(Kind::Track, None);
        series.look(SECOND, &numbers);
        numbers.ended(Kind::Track, Some(Duration::from_millis(700)));
        numbers.ended(Kind::Track, None);
        series.look(2 * SECOND, &numbers);
        let points = series.points();
        let counts = |it: &Point| (it.requests, it.answered, it.errors);
        assert_eq!(
            (counts(&points[0]), counts(&points[1])),
            ((3, 0, 1), (0, 2, 1))
        );
        let p99 = |it: Option<Percentiles>| it.map(|it| it.p99.round());
        assert_eq!(
            (p99(points[0].enqueue), p99(points[0].lag)),
            (Some(4.0), None)
        );
        assert_eq!(
            (p99(points[1].enqueue), p99(points[1].lag)),
            (None, Some(700.0))
        );
        assert_eq!((points[1].from_send, points[1].from_schedule), (None, None));
    }

    #[test]
    fn a_short_rest_belongs_to_the_last_point_and_a_long_one_is_its_own() {
        for (tenths, points) in [(11, 1), (18, 2)] {
            let (mut series, numbers) = (series(8), Recorder::default());
            series.look(SECOND, &numbers);
            series.end(SECOND / 10 * tenths, &numbers);
            assert_eq!(series.points().len(), points, "{tenths}");
        }
    }
}
