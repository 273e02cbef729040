//! Every fault at once, for as long as one likes: nothing may be lost, and nothing come twice.
//!
//! Real parts: `cio simulator` with faults that change every few seconds, several `cio worker`s that
//! are killed and started again, a Redis that is killed and started again twice, and a producer
//! that goes on all the while. Then the faults end, and everything must be where it belongs.
//!
//! Redis writes its append-only file with `appendfsync always`: with `everysec` it may answer a
//! producer before it has written what it was told, and a job lost so was never in the queue.

mod faults;
mod ledger;
mod producer;
mod workers;

use std::collections::BTreeSet;
use std::time::Duration;

use bullmq::Queue;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::producer::Producer;
use self::workers::Workers;
use crate::support::eventually_within;
use crate::support::redis::RedisServer;
use crate::support::simulator::{SimulatorProcess, TakenEvents};
use crate::worker::bench::counts;

/// How long there are faults and new jobs, for each mode: the drain comes on top.
const SHORT: u64 = 20;
/// The probes of an open circuit are up to 30 s apart, and a job's last backoff is 16 s.
/// After answers 429 the limit comes back in steps, and single calls may be thousands behind.
const DRAIN: Duration = Duration::from_mins(10);
/// From here on memory is judged: a shorter run has no quarters worth the name.
const LONG: u64 = 300;
const TICK: Duration = Duration::from_millis(250);

fn number(variable: &str, otherwise: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.and_then(|it| it.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and the machine: make test-soak, make soak"]
async fn batches_survive_every_fault_at_once() {
    soak("batch", 150).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and the machine: make test-soak, make soak"]
async fn single_calls_survive_every_fault_at_once() {
    // A job is a request: fewer, so that 80 a second and the outages leave room for them.
    soak("single", 30).await;
}

async fn soak(mode: &str, jobs_per_second: u32) {
    let seconds = number("CIO_TEST_SOAK_SECONDS", SHORT);
    let seed = number("CIO_TEST_SOAK_SEED", rand::random::<u32>().into());
    println!("{mode}: {seconds} s; to repeat its dice: CIO_TEST_SOAK_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let simulator = SimulatorProcess::start(&["--credentials", "site:key"]).await;
    let mut workers = Workers::start(&redis.url(), &simulator.url, mode);
    let end = CancellationToken::new();
    let producer = Producer::start(redis.url(), jobs_per_second, random.random(), end.clone());
    let mut taken = TakenEvents::default();

    rage(
        seconds,
        &mut random,
        &mut redis,
        &simulator,
        &mut workers,
        &mut taken,
    )
    .await;
    end.cancel();
    let ledger = producer.await.expect("the producer");
    simulator.faults(&serde_json::json!([])).await;
    workers.start_missing();
    let queue = connected(&redis).await;
    drained(&queue, &simulator, &mut taken, &mut workers, seconds).await;

    let peak = simulator.state().await["max_requests_in_any_second"].clone();
    println!(
        "{mode}: {}; at most {peak} requests in a second",
        ledger.summary(&taken)
    );
    workers.report();
    ledger.judge(&queue, &simulator, &taken).await;
    workers.judge(seconds >= LONG);
}

/// The time of faults.
async fn rage(
    seconds: u64,
    random: &mut StdRng,
    redis: &mut RedisServer,
    simulator: &SimulatorProcess,
    workers: &mut Workers,
    taken: &mut TakenEvents,
) {
    let begin = Instant::now();
    let at = |share: f64| begin + Duration::from_secs(seconds).mul_f64(share);
    let mut crashes = vec![at(0.75), at(0.35)];
    let mut next_faults = begin;
    let mut next_kill = begin + Duration::from_secs(3);
    while begin.elapsed() < Duration::from_secs(seconds) {
        let now = Instant::now();
        if now >= next_faults {
            let rules = faults::draw(random);
            println!("{:5.1} s: {rules}", begin.elapsed().as_secs_f64());
            simulator.faults(&rules).await;
            next_faults = now + Duration::from_millis(random.random_range(2_000..5_000));
        }
        if now >= next_kill {
            workers.kill_one(random);
            next_kill = now + Duration::from_millis(random.random_range(2_000..8_000));
        }
        if crashes.last().is_some_and(|at| now >= *at) {
            crashes.pop();
            redis.kill();
            sleep(Duration::from_millis(random.random_range(200..2_000))).await;
            redis.start_again();
            println!(
                "{:5.1} s: Redis crashed and is back",
                begin.elapsed().as_secs_f64()
            );
        }
        workers.look(begin.elapsed());
        taken.read(simulator).await;
        sleep(TICK).await;
        workers.start_missing();
    }
    assert!(crashes.is_empty(), "Redis was not restarted twice");
}

async fn connected(redis: &RedisServer) -> Queue {
    eventually_within(Duration::from_secs(20), "Redis", async || {
        producer::queue(&redis.url()).await
    })
    .await
}

/// Waits until nothing is to be done any more.
async fn drained(
    queue: &Queue,
    simulator: &SimulatorProcess,
    taken: &mut TakenEvents,
    workers: &mut Workers,
    seconds: u64,
) {
    let begin = Instant::now();
    loop {
        workers.look(Duration::from_secs(seconds) + begin.elapsed());
        taken.read(simulator).await;
        let (waiting, active, completed, failed) = counts(queue).await;
        if waiting + active == 0 {
            println!(
                "drained within {:.1} s of the last fault",
                begin.elapsed().as_secs_f64()
            );
            return;
        }
        if begin.elapsed() > DRAIN {
            workers.show_logs();
            panic!("{waiting} waiting, {active} active, {completed} completed, {failed} failed");
        }
        sleep(TICK).await;
    }
}

/// Ids of the failed set.
async fn failed(queue: &Queue) -> BTreeSet<String> {
    let failed = queue.get_failed(0, -1).await.expect("the failed set");
    failed.iter().map(|job| job.id().to_owned()).collect()
}
