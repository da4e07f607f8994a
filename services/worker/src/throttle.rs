//! Keeps background work from taking the disks and the network away from clients.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use env::{Env, Instant};

/// Lets so many bytes pass in a second.
#[derive(Debug)]
pub(crate) struct Throttle {
    env: Env,
    /// Bytes per second; 0 means no limit.
    rate: u64,
    /// When what was let through so far has had its time.
    free_at: Mutex<Instant>,
}

impl Throttle {
    pub(crate) fn new(env: Env, rate: u64) -> Self {
        let free_at = Mutex::new(env.now());
        Self { env, rate, free_at }
    }

    /// Accounts for bytes that were moved, and waits until more may be. Work is measured afterwards because only then
    /// is it known how much it was.
    pub(crate) async fn spent(&self, bytes: u64) {
        let wait = self.book(bytes, self.env.now());
        if !wait.is_zero() {
            self.env.sleep(wait).await;
        }
    }

    fn book(&self, bytes: u64, now: Instant) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let micros = u128::from(bytes) * 1_000_000 / u128::from(self.rate);
        let time = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = (*free_at).max(now).after(time);
        free_at.since(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::{Env, Instant};

    use super::Throttle;

    #[test]
    fn bytes_take_their_time_and_idle_time_is_not_saved_up() {
        let throttle = Throttle::new(Env::real(), 1000);
        *throttle.free_at.lock().unwrap() = Instant::from_start(Duration::ZERO);
        let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
        assert_eq!(throttle.book(500, at(10)), Duration::from_millis(500));
        assert_eq!(throttle.book(500, at(10)), Duration::from_secs(1));
        assert_eq!(throttle.book(500, at(60)), Duration::from_millis(500));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let throttle = Throttle::new(Env::real(), 0);
        assert_eq!(throttle.book(u64::MAX, throttle.env.now()), Duration::ZERO);
    }
}
