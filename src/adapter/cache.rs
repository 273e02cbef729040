//! Answers kept for a while; whoever asks for one that is being fetched waits for it.
//!
//! Bounded in size, time and, by its users, in what a fetch may take.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// A value and until when it is good; empty while it is being fetched.
type Entry<V> = Arc<OnceCell<(V, Instant)>>;

/// A cache with single flight. How long a value is kept is told with the value.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    most: usize,
    entries: Mutex<HashMap<K, Entry<V>>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// A cache of at most `most` values.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            entries: Mutex::new(HashMap::new()),
        }
    }

    /// The value kept for `key`, or what `fetch` makes, which is then kept for the time that it
    /// comes with. Of many who ask at once one fetches; if that one gives up, the next does.
    pub(super) async fn get<F>(&self, key: K, fetch: F) -> V
    where
        F: Future<Output = (V, Duration)>,
    {
        let entry = self.entry(key);
        let fetched = async {
            let (value, keep) = fetch.await;
            (value, Instant::now() + keep)
        };
        entry.get_or_init(|| fetched).await.0.clone()
    }

    fn entry(&self, key: K) -> Entry<V> {
        // A panic cannot leave the map half changed: every change is one insert or remove.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_good = |entry: &Entry<V>| entry.get().is_none_or(|(_, until)| now < *until);
        if let Some(entry) = entries.get(&key).filter(|entry| is_good(entry)) {
            return Arc::clone(entry);
        }
        if entries.len() >= self.most && !entries.contains_key(&key) {
            entries.retain(|_, entry| is_good(entry));
            if entries.len() >= self.most
                && let Some(any) = entries.keys().next().cloned()
            {
                entries.remove(&any);
            }
        }
        let entry = Entry::default();
        entries.insert(key, Arc::clone(&entry));
        entry
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    const KEEP: Duration = Duration::from_secs(2);
    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_value_is_kept_for_its_time_and_no_longer() {
        let cache = Cache::new(8);
        assert_eq!(cache.get("a", async { (1, KEEP) }).await, 1);
        tokio::time::advance(KEEP.saturating_sub(MOMENT)).await;
        assert_eq!(cache.get("a", async { (2, KEEP) }).await, 1);
        tokio::time::advance(MOMENT).await;
        assert_eq!(cache.get("a", async { (3, KEEP) }).await, 3);
    }

    #[tokio::test]
    async fn many_who_ask_at_once_share_one_fetch() {
        let (cache, fetches, go) = (Cache::new(8), AtomicUsize::new(0), Notify::new());
        let ask = || {
            cache.get("a", async {
                fetches.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                (7, KEEP)
            })
        };
        let all = futures::future::join_all((0..50).map(|_| ask()));
        let (values, ()) = tokio::join!(all, async { go.notify_one() });
        assert_eq!(values, [7; 50]);
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn when_the_one_who_fetches_gives_up_the_next_does_it() {
        let cache = Cache::new(8);
        let never = std::future::pending::<(i32, Duration)>();
        let gone = tokio::time::timeout(Duration::ZERO, cache.get("a", never)).await;
        assert!(gone.is_err());
        assert_eq!(cache.get("a", async { (2, KEEP) }).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_holds_more_than_it_may() {
        let cache = Cache::new(3);
        for key in 0..10 {
            cache.get(key, async { (key, KEEP) }).await;
            assert!(cache.entries.lock().unwrap().len() <= 3);
        }
        tokio::time::advance(KEEP).await;
        cache.get(99, async { (99, KEEP) }).await;
        assert_eq!(cache.entries.lock().unwrap().len(), 1);
    }
}
