//! Who has used how much of what they may, of so many at most.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{
    Limits,
    bucket::{Bucket, Rate},
};

/// Bodies of one who has a rate for them that are received at a time. Each holds a connection to every node that it is written to.
pub(super) const BODIES_MAX: usize = 4;

/// What somebody has used.
#[derive(Debug)]
pub(super) struct Used {
    buckets: Mutex<Buckets>,
    /// Bodies that may be received beside those that are, in the order in which they came.
    pub(super) bodies: Arc<Semaphore>,
    /// When it was last used, in milliseconds.
    last_ms: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Buckets {
    pub(super) requests: Bucket,
    pub(super) received: Bucket,
    pub(super) sent: Bucket,
    /// What they are filled by.
    limits: Limits,
    /// When it was last told of that it was over its rate.
    pub(super) told: Option<Duration>,
}

impl Default for Used {
    fn default() -> Self {
        let bodies = Arc::new(Semaphore::new(BODIES_MAX));
        Self { buckets: Mutex::default(), bodies, last_ms: AtomicU64::new(0) }
    }
}

impl Used {
    /// These are the limits from now on.
    pub(super) fn limit(&self, limits: Limits, now: Duration) {
        let mut buckets = self.at(now);
        let old = std::mem::replace(&mut buckets.limits, limits);
        if old == limits {
            return;
        }
        let change = |bucket: &mut Bucket, old: Option<Rate>, new: Option<Rate>| {
            if let Some(new) = new {
                bucket.change(old.unwrap_or(new), new, now);
            }
        };
        change(&mut buckets.requests, old.requests, limits.requests);
        change(&mut buckets.received, old.received, limits.received);
        change(&mut buckets.sent, old.sent, limits.sent);
    }

    /// What was taken, to take more.
    pub(super) fn at(&self, now: Duration) -> MutexGuard<'_, Buckets> {
        self.last_ms.fetch_max(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Relaxed);
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, now: Duration) -> bool {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        self.bodies.available_permits() == BODIES_MAX
            && [&buckets.requests, &buckets.received, &buckets.sent].iter().all(|bucket| bucket.is_full(now))
    }
}

/// Those who have used something.
#[derive(Debug)]
pub(super) struct Table<K> {
    entries: Mutex<HashMap<K, Arc<Used>>>,
    most: usize,
}

impl<K: Eq + Hash + Clone> Table<K> {
    /// Knows so many at most.
    pub(super) fn new(most: usize) -> Self {
        Self { entries: Mutex::default(), most }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, Arc<Used>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.entries().len()
    }

    /// What somebody has used, nothing if they are not known. Where there are too many, those are forgotten of whom everything has
    /// come back, and if more than seven eighths are left, of these the ones that have been idle for longest: so all are looked at
    /// once for an eighth of them that come, and no more often.
    pub(super) fn get(&self, key: &K, now: Duration) -> Arc<Used> {
        let mut entries = self.entries();
        if let Some(found) = entries.get(key) {
            return Arc::clone(found);
        }
        if entries.len() >= self.most {
            entries.retain(|_, used| !used.is_full(now));
            // One of those that stay is the one that comes.
            let mut left = (entries.len() + self.most / 8 + 1).saturating_sub(self.most);
            if left > 0 {
                let mut times: Vec<u64> = entries.values().map(|used| used.last_ms.load(Relaxed)).collect();
                let idlest = *times.select_nth_unstable(left - 1).1;
                entries.retain(|_, used| {
                    let goes = left > 0 && used.last_ms.load(Relaxed) <= idlest;
                    left -= usize::from(goes);
                    !goes
                });
            }
        }
        let used = Arc::new(Used::default());
        drop(used.at(now));
        entries.insert(key.clone(), Arc::clone(&used));
        used
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{super::bucket::Rate, Table};

    const RATE: Rate = Rate { per_second: 1, burst: Duration::from_secs(1) };

    #[test]
    fn whoever_is_full_is_forgotten_first_and_then_the_idlest() {
        let table = Table::new(64);
        let at = |second: u64| Duration::from_secs(1000 + second);
        for key in 0..64_u64 {
            table.get(&key, at(key)).at(at(key)).requests.take(RATE, 500, at(key));
        }
        let of = |key: u64, second| table.get(&key, at(second)).at(at(second)).requests.is_full(at(second));
        assert!(!of(7, 64), "it is known, and used now");
        assert!(of(100, 65), "a new one has used nothing");
        assert_eq!(table.len(), 64 - 9 + 1);
        assert!(!of(7, 66) && !of(10, 66) && !of(63, 66), "those who were used stay");
        for key in [0, 9] {
            assert!(of(key, 67), "the idlest were forgotten");
        }
        // When everything has come back of all, nothing is lost by forgetting them.
        for key in 200..264 {
            table.get(&key, at(5000)).at(at(5000)).requests.take(RATE, 500, at(5000));
        }
        assert!((200..264).all(|key| !of(key, 5001)), "{}", table.len());
    }

    /// That one could be forgotten without loss does not make the next one look at all of them again.
    #[test]
    fn room_is_made_for_many_at_a_time() {
        let table = Table::new(64);
        let at = |second: u64| Duration::from_secs(1000 + second);
        table.get(&0, at(0));
        for key in 1..64_u64 {
            table.get(&key, at(key)).at(at(key)).requests.take(RATE, 500, at(key));
        }
        table.get(&100, at(64));
        assert_eq!(table.len(), 64 - 9 + 1);
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let table = Table::new(16);
        for key in 0..10_000_u64 {
            let now = Duration::from_millis(key / 100);
            table.get(&key, now).at(now).sent.take(RATE, 1_000_000, now);
            assert!(table.len() <= 16);
        }
        let now = Duration::from_secs(1);
        assert!(Arc::ptr_eq(&table.get(&9999, now), &table.get(&9999, now)));
    }
}
