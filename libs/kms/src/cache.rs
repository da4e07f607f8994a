//! What is remembered for a short time, and no more of it than fits.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    time::Duration,
};

use env::Instant;

/// Values that are remembered for one time, the oldest given up first.
pub(crate) struct Cache<K, V> {
    entries: HashMap<K, (Instant, V)>,
    order: VecDeque<(Instant, K)>,
    most: usize,
    life: Duration,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// An empty one of at most so many values. A life of nothing remembers nothing.
    pub(crate) fn new(most: usize, life: Duration) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), most, life }
    }

    pub(crate) fn get(&mut self, key: &K, now: Instant) -> Option<V> {
        self.forget(now);
        self.entries.get(key).map(|(_, value)| value.clone())
    }

    pub(crate) fn insert(&mut self, key: K, value: V, now: Instant) {
        if self.life.is_zero() {
            return;
        }
        self.entries.insert(key.clone(), (now, value));
        self.order.push_back((now, key));
        self.forget(now);
    }

    /// Gives up what is old or too much.
    fn forget(&mut self, now: Instant) {
        while let Some((since, key)) = self.order.front()
            && (self.order.len() > self.most || now.since(*since) >= self.life)
        {
            // It may have been put again since.
            if self.entries.get(key).is_some_and(|(put, _)| put == since) {
                self.entries.remove(key);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Env;

    use super::Cache;

    #[test]
    fn what_is_old_or_too_much_is_forgotten() {
        let now = Env::real().now();
        let later = |seconds| now.after(Duration::from_secs(seconds));
        let mut cache = Cache::new(2, Duration::from_secs(10));
        cache.insert("a", 1, now);
        assert_eq!((cache.get(&"a", later(9)), cache.get(&"a", later(10))), (Some(1), None));
        cache.insert("a", 2, later(5));
        cache.insert("b", 3, later(6));
        assert_eq!((cache.get(&"a", later(6)), cache.get(&"b", later(6))), (Some(2), Some(3)), "put again");
        cache.insert("c", 4, later(7));
        let all = ["a", "b", "c"].map(|key| cache.get(&key, later(7)));
        assert_eq!(all, [None, Some(3), Some(4)], "the oldest goes first");
        cache.insert("d", 5, later(60));
        assert_eq!((cache.entries.len(), cache.order.len()), (1, 1), "and takes no room");
        let mut none = Cache::new(2, Duration::ZERO);
        none.insert("a", 1, now);
        assert!(none.get(&"a", now).is_none() && none.entries.is_empty());
    }
}
