use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const LINGER: Duration = Duration::from_millis(50);

fn batcher(max_bytes: usize, max_items: usize) -> Batcher<u64> {
    Batcher::new(BatchLimits {
        max_bytes,
        max_items,
        linger: LINGER,
    })
}

fn entry(user: &str, bytes: usize, payload: u64) -> Entry<u64> {
    Entry {
        user: user.into(),
        bytes,
        alone: false,
        order: (0, payload),
        since: Instant::now(),
        payload,
    }
}

fn payloads(batch: &[Entry<u64>]) -> Vec<u64> {
    batch.iter().map(|entry| entry.payload).collect()
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_others_until_it_is_full_or_has_lingered() {
    let start = Instant::now();
    let mut batcher = batcher(100, 10);
    assert_eq!(batcher.ready_at(), None);
    batcher.push(entry("a", 40, 1));
    assert_eq!(batcher.ready_at(), Some(start + LINGER));
    batcher.push(entry("b", 60, 2));
    assert_eq!(batcher.ready_at(), Some(start));
    assert_eq!(payloads(&batcher.take()), [1, 2]);
    assert_eq!(batcher.ready_at(), None);
}

#[tokio::test]
async fn one_user_is_never_in_two_requests() {
    let mut batcher = batcher(100, 10);
    batcher.push(entry("a", 60, 1));
    batcher.push(entry("a", 60, 2));
    batcher.push(entry("b", 60, 3));
    let first = batcher.take();
    assert_eq!(payloads(&first), [1]);
    batcher.push(entry("a", 1, 4));
    assert_eq!(payloads(&batcher.take()), [3]);
    assert!(batcher.take().is_empty());
    batcher.release(first.iter().map(|entry| &entry.user));
    assert_eq!(payloads(&batcher.take()), [2, 4]);
}

#[tokio::test]
async fn a_user_s_earlier_operation_goes_first_even_if_it_comes_later() {
    let mut batcher = batcher(100, 10);
    batcher.push(entry("a", 1, 5));
    batcher.push(entry("a", 1, 4));
    assert_eq!(payloads(&batcher.take()), [4, 5]);
}

#[tokio::test]
async fn what_must_go_alone_goes_alone_and_at_once() {
    let mut batcher = batcher(100, 10);
    batcher.push(entry("a", 1, 1));
    batcher.push(Entry {
        alone: true,
        ..entry("a", 5_000, 2)
    });
    batcher.push(entry("a", 1, 3));
    for expected in [1, 2, 3] {
        let batch = batcher.take();
        assert_eq!(payloads(&batch), [expected]);
        batcher.release(batch.iter().map(|entry| &entry.user));
    }
    batcher.push(Entry {
        alone: true,
        ..entry("a", 5_000, 4)
    });
    assert!(batcher.ready_at().unwrap() <= Instant::now());
}

#[tokio::test]
async fn what_is_drained_is_everything_that_was_not_taken() {
    let mut batcher = batcher(2, 10);
    for (user, payload) in [("a", 1), ("a", 2), ("a", 3), ("b", 4)] {
        batcher.push(entry(user, 1, payload));
    }
    let taken = batcher.take();
    let mut rest = payloads(&batcher.drain());
    rest.sort_unstable();
    assert_eq!((payloads(&taken), rest), (vec![1, 2], vec![3, 4]));
    batcher.release(taken.iter().map(|entry| &entry.user));
    assert_eq!(batcher.ready_at(), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn everything_is_sent_once_in_order_and_within_the_limits(
        entries in prop::collection::vec((0_u8..6, 1_usize..60, prop::bool::weighted(0.1)), 1..80),
        releases in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut batcher = batcher(100, 7);
        let total = entries.len();
        let mut entries = entries.into_iter().enumerate();
        let mut flying: Vec<Vec<Entry<u64>>> = Vec::new();
        let mut sent: HashMap<Arc<str>, Vec<u64>> = HashMap::new();
        let mut count = 0;
        for release in releases.into_iter().chain(std::iter::repeat_n(true, 400)) {
            for (index, (user, bytes, alone)) in entries.by_ref().take(2) {
                batcher.push(Entry { alone, ..entry(&user.to_string(), bytes, index as u64) });
            }
            if release && !flying.is_empty() {
                let done = flying.remove(0);
                batcher.release(done.iter().map(|entry| &entry.user));
            }
            let batch = batcher.take();
            if batch.is_empty() {
                continue;
            }
            prop_assert!(batch.len() <= 7);
            prop_assert!(batch.len() == 1 || batch.iter().all(|entry| !entry.alone));
            prop_assert!(batch.len() == 1 || batch.iter().map(|entry| entry.bytes).sum::<usize>() <= 100);
            let here: HashSet<_> = batch.iter().map(|entry| Arc::clone(&entry.user)).collect();
            prop_assert!(flying.iter().flatten().all(|entry| !here.contains(&entry.user)));
            for entry in &batch {
                sent.entry(Arc::clone(&entry.user)).or_default().push(entry.payload);
                count += 1;
            }
            flying.push(batch);
        }
        prop_assert_eq!(count, total);
        prop_assert!(sent.values().all(|payloads| payloads.is_sorted()));
        prop_assert_eq!(batcher.open_bytes, 0);
        prop_assert_eq!(batcher.demand(), 0);
    }
}
