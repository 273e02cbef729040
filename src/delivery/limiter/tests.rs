use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use prometheus::Registry;
use redis::{ScriptInvocation, Value};

use super::*;

/// Answers from a list, then no more.
struct Scripted {
    answers: StdMutex<Vec<Result<Value, String>>>,
    asked: AtomicUsize,
}

#[async_trait]
impl RunScript for Scripted {
    async fn run_script(&self, _: &ScriptInvocation<'_>) -> Result<Value, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let next = self.answers.lock().unwrap().pop();
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn granted(count: i64, wait_us: i64, lowest: &str, permille: i64) -> Value {
    Value::Array(vec![
        Value::Int(count),
        Value::Int(wait_us),
        Value::Int(10_000),
        Value::Int(1),
        Value::BulkString(lowest.as_bytes().to_vec()),
        Value::Int(permille),
    ])
}

fn limiter(answers: Vec<Value>) -> (Limiter, Arc<Scripted>, LimitMetrics) {
    scripted(answers.into_iter().map(Ok).collect())
}

fn scripted(mut answers: Vec<Result<Value, String>>) -> (Limiter, Arc<Scripted>, LimitMetrics) {
    answers.reverse();
    let store = Arc::new(Scripted {
        answers: StdMutex::new(answers),
        asked: AtomicUsize::new(0),
    });
    let metrics = LimitMetrics::new(&Registry::new()).unwrap();
    let credentials = Arc::new(Credentials::new(Some("s"), Some("k")).unwrap());
    let (_, credentials) = watch::channel(credentials);
    let shared: Arc<dyn RunScript> = Arc::clone(&store) as _;
    let limiter = Limiter::new(shared, Region::Us, credentials, 80, metrics.clone());
    (limiter, store, metrics)
}

#[tokio::test(start_paused = true)]
async fn a_turn_comes_at_its_time_and_two_reserved_ones_need_one_question() {
    let (limiter, store, _) = limiter(vec![granted(2, 30_000, "80", 1000)]);
    let start = Instant::now();
    limiter.turn(2).await;
    assert_eq!(start.elapsed().as_millis(), 30);
    limiter.turn(1).await;
    assert_eq!(start.elapsed().as_millis(), 40);
    assert_eq!(store.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_told_to_ask_again_waits_for_it() {
    let (limiter, _, _) = limiter(vec![
        granted(0, 500_000, "80", 1000),
        granted(1, 0, "80", 1000),
    ]);
    let start = Instant::now();
    limiter.turn(1).await;
    let waited = start.elapsed();
    assert!(
        waited >= Duration::from_millis(500) && waited <= Duration::from_millis(532),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_of_redis_there_is_no_turn() {
    let errors = (0..5).map(|_| Err("gone".to_owned()));
    let (limiter, _, metrics) = scripted(errors.chain([Ok(granted(1, 0, "80", 1000))]).collect());
    limiter.turn(1).await;
    assert_eq!(metrics.errors.get(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_rate_in_force_is_the_lowest_after_what_429_left_of_it() {
    let (limiter, _, metrics) = limiter(vec![granted(1, 0, "40", 700)]);
    assert!((metrics.rate.get() - 80.0).abs() < 0.01);
    limiter.turn(1).await;
    assert!((metrics.rate.get() - 28.0).abs() < 0.01);
}

#[tokio::test(start_paused = true)]
async fn after_a_429_turns_reserved_at_the_old_rate_are_not_used() {
    let (limiter, store, _) = limiter(vec![
        granted(2, 0, "80", 1000),
        granted(0, 0, "80", 700),
        granted(1, 0, "80", 700),
    ]);
    limiter.turn(2).await;
    limiter.throttled(None).await;
    limiter.turn(1).await;
    assert_eq!(store.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_turn_keeps_nobody_from_telling_of_a_429() {
    let (limiter, store, _) = limiter(vec![
        granted(0, 30_000_000, "80", 1000),
        granted(0, 30_000_000, "80", 700),
        granted(1, 0, "80", 700),
    ]);
    let start = Instant::now();
    tokio::join!(limiter.turn(1), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let told = limiter.throttled(Some(Duration::from_secs(30)));
        let told = tokio::time::timeout(Duration::from_secs(1), told).await;
        assert!(told.is_ok(), "it waits for the other");
        assert_eq!(start.elapsed().as_secs(), 1);
        assert_eq!(store.asked.load(Ordering::Relaxed), 2);
    });
    assert_eq!(store.asked.load(Ordering::Relaxed), 3);
}
