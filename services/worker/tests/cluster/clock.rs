//! Time that tests pause, and numbers that count up.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use env::{Clock, Env, Instant, Random, RealDisk, RealNetwork};

#[derive(Debug)]
struct PausedClock {
    start: tokio::time::Instant,
}

#[expect(clippy::disallowed_methods, reason = "this is the environment")]
impl Clock for PausedClock {
    fn now(&self) -> Instant {
        Instant::from_start(tokio::time::Instant::now() - self.start)
    }

    fn wall_clock_ms(&self) -> i64 {
        1_700_000_000_000
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Debug)]
struct Counting(AtomicUsize);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        out.iter_mut().zip(next).for_each(|(out, byte)| *out = byte);
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the environment")]
pub(crate) fn paused() -> Env {
    let clock = PausedClock { start: tokio::time::Instant::now() };
    let random = Counting(AtomicUsize::new(0));
    Env::new(Arc::new(clock), Arc::new(random), Arc::new(RealNetwork), Arc::new(RealDisk))
}
