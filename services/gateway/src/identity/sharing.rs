//! One attempt for all who wait for the same.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Runs attempts one after the other. Whoever asks gets the result of one that began after it asked, its own or another's.
#[derive(Debug)]
pub(super) struct Sharing<T> {
    /// How many attempts were begun.
    begun: AtomicU64,
    /// The number and the result of the last attempt that came to its end. Held while one runs.
    last: Mutex<Option<(u64, T)>>,
}

impl<T> Default for Sharing<T> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), last: Mutex::const_new(None) }
    }
}

impl<T: Clone> Sharing<T> {
    pub(super) async fn get(&self, attempt: impl Future<Output = T>) -> T {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((number, result)) = &*last
            && *number > before
        {
            return result.clone();
        }
        // One that is given up half-way has a number too, and no result: the next who waits makes its own.
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = attempt.await;
        *last = Some((number, result.clone()));
        result
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, task::Poll};

    use futures_util::{future::join_all, poll};
    use tokio::sync::Semaphore;

    use super::Sharing;

    /// What an attempt reads is as of its begin; it ends when it is let.
    async fn read(now: &Cell<u64>, attempts: &Cell<u64>, gate: &Semaphore) -> u64 {
        attempts.set(attempts.get() + 1);
        let read = now.get();
        gate.acquire().await.expect("it stays open").forget();
        read
    }

    #[tokio::test]
    async fn who_waits_shares_an_attempt_that_began_later() {
        let (now, attempts, gate) = (Cell::new(1), Cell::new(0), Semaphore::new(0));
        let sharing = Sharing::default();
        let ask = || Box::pin(sharing.get(read(&now, &attempts, &gate)));
        let mut first = ask();
        assert_eq!(poll!(&mut first), Poll::Pending);
        now.set(2);
        let mut others: Vec<_> = (0..10).map(|_| ask()).collect();
        for other in &mut others {
            assert_eq!(poll!(other), Poll::Pending);
        }
        now.set(3);
        gate.add_permits(1);
        assert_eq!(first.await, 1);
        gate.add_permits(1);
        assert_eq!(join_all(others).await, [3; 10], "not what the first had read");
        assert_eq!(attempts.get(), 2, "one for all of them");

        now.set(4);
        gate.add_permits(1);
        assert_eq!(ask().await, 4, "what was read before is no answer to who asks now");
    }

    #[tokio::test]
    async fn an_attempt_that_is_given_up_leaves_its_turn() {
        let (now, attempts, gate) = (Cell::new(1), Cell::new(0), Semaphore::new(0));
        let sharing = Sharing::default();
        let ask = || Box::pin(sharing.get(read(&now, &attempts, &gate)));
        let (mut first, mut second) = (ask(), ask());
        assert_eq!((poll!(&mut first), poll!(&mut second)), (Poll::Pending, Poll::Pending));
        drop(first);
        now.set(2);
        gate.add_permits(1);
        assert_eq!(second.await, 2);
        assert_eq!(attempts.get(), 2);
    }
}
