//! Enqueues all along: identifies, events, and some that can never be delivered.
//!
//! Every job has an id of its own, so that an add whose answer was lost can be made again. A
//! person's updates are added one after the other, over a second apart by their `enqueuedAt`:
//! that is all the order that can be promised. Customer.io tells two updates of one person apart by
//! whole seconds; within one, a worker that dies between delivery and note may bring back the older.

use std::time::Duration;

use bullmq::options::{QueueOptions, RedisConnectionOptions};
use bullmq::types::BackoffStrategy;
use bullmq::{BulkJob, JobOptions, Queue};
use cio_operator::runtime::clock::Clock;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::Ledger;
use crate::worker::bench::QUEUE;

const PEOPLE: u64 = 120;
/// Jobs are added in steps, so many a second.
const STEPS: u32 = 4;
/// One job in so many can never be delivered.
const BAD_EVERY: u64 = 40;

type Added = (String, String, Value);

/// The queue, where Redis is there.
pub(super) async fn queue(url: &str) -> Option<Queue> {
    let options = QueueOptions {
        connection: RedisConnectionOptions::new().url(url.to_owned()),
        ..QueueOptions::default()
    };
    let opened = timeout(Duration::from_secs(5), Queue::with_options(QUEUE, options)).await;
    opened.ok()?.ok()
}

pub(super) struct Producer {
    url: String,
    per_step: u32,
    random: StdRng,
    clock: Clock,
    number: u64,
    ledger: Ledger,
}

impl Producer {
    /// Enqueues until `end`; what it enqueued.
    pub(super) fn start(
        url: String,
        jobs_per_second: u32,
        seed: u64,
        end: CancellationToken,
    ) -> JoinHandle<Ledger> {
        let producer = Self {
            url,
            per_step: jobs_per_second / STEPS,
            random: StdRng::seed_from_u64(seed),
            clock: Clock::system(),
            number: 0,
            ledger: Ledger::default(),
        };
        tokio::spawn(producer.run(end))
    }

    async fn run(mut self, end: CancellationToken) -> Ledger {
        let mut connection = None;
        // First everybody is there, so that each event is of somebody known.
        let mut next_person = 0;
        while !end.is_cancelled() {
            let step: Vec<Added> = (0..self.per_step)
                .map(|_| self.job(&mut next_person))
                .collect();
            self.add(&mut connection, &step).await;
            sleep(Duration::from_secs(1) / STEPS).await;
        }
        self.ledger
    }

    fn job(&mut self, next_person: &mut u64) -> Added {
        self.number += 1;
        let number = self.number;
        if number.is_multiple_of(BAD_EVERY) {
            let id = format!("bad-{number}");
            self.ledger.bad.insert(id.clone());
            let (name, data) = bad(number / BAD_EVERY, self.clock.now_ms());
            return (id, name.to_owned(), data);
        }
        // A third are identifies, everybody's turn being seconds apart.
        if number.is_multiple_of(3) || number < PEOPLE {
            let person = format!("soak-{}", *next_person % PEOPLE);
            *next_person += 1;
            return self.identify(number, person);
        }
        let person = format!("soak-{}", self.random.random_range(0..PEOPLE));
        self.ledger.people.entry(person.clone()).or_default();
        let name = format!("event-{number}");
        self.ledger.events.insert(name.clone());
        let event =
            json!({"name": name, "data": {"text": "x".repeat(self.random.random_range(0..900))}});
        (
            format!("track-{number}"),
            "track".to_owned(),
            self.data(&person, &event),
        )
    }

    fn identify(&mut self, number: u64, person: String) -> Added {
        let attributes = json!({"step": number, "email": format!("{person}@soak.example.com")});
        let data = self.data(&person, &attributes);
        self.ledger.identifies += 1;
        self.ledger.people.insert(person, number);
        (format!("identify-{number}"), "identify".to_owned(), data)
    }

    fn data(&self, person: &str, data: &Value) -> Value {
        json!({"userId": person, "data": data, "enqueuedAt": self.clock.now_ms()})
    }

    /// Adds until Redis has said that it has them all.
    async fn add(&mut self, connection: &mut Option<Queue>, jobs: &[Added]) {
        loop {
            if connection.is_none() {
                *connection = queue(&self.url).await;
            }
            if let Some(queue) = &connection {
                let adding = queue.add_bulk(jobs.iter().map(bulk).collect());
                if matches!(timeout(Duration::from_secs(5), adding).await, Ok(Ok(_))) {
                    return;
                }
            }
            self.ledger.repeats += 1;
            *connection = None;
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// With the guide's options.
fn bulk((id, name, data): &Added) -> BulkJob {
    let options = JobOptions {
        job_id: Some(id.clone()),
        attempts: Some(5),
        backoff: Some(BackoffStrategy::Exponential(2_000)),
        ..JobOptions::default()
    };
    BulkJob::with_options(name.clone(), data.clone(), options)
}

/// Refused by the worker itself, but for the last two: Customer.io refuses those, in a batch with a
/// 207 and alone with a 400.
fn bad(which: u64, now_ms: u64) -> (&'static str, Value) {
    let of = |data: Value| json!({"userId": "soak-bad", "data": data, "enqueuedAt": now_ms});
    match which % 8 {
        0 => ("purchase", of(json!({}))),
        1 => ("identify", json!({"data": {}, "enqueuedAt": now_ms})),
        2 => ("track", of(json!({"data": {"no": "name"}}))),
        3 => ("identify", of(json!({"about": "x".repeat(1_001)}))),
        4 => ("track", of(json!({"name": "n".repeat(101)}))),
        5 => ("identify", Value::Null),
        _ => ("identify", of(json!({"list": vec![1_000; 300]}))),
    }
}
