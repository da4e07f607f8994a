//! Virtual time: tokio's paused clock, which jumps to the next timer when nothing else is to be done.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use env::{Clock, Instant};

/// Time since the runtime began. Outside of a runtime it is zero.
pub(crate) fn now() -> Duration {
    thread_local! {
        static START: std::cell::OnceCell<tokio::time::Instant> = const { std::cell::OnceCell::new() };
    }
    START.with(|start| start.get_or_init(tokio::time::Instant::now).elapsed())
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Waits for virtual time to pass.
pub(crate) async fn sleep_ms(time: u64) {
    tokio::time::sleep(Duration::from_millis(time)).await;
}

/// A machine's clocks. The wall clock is wrong by the skew, which may change.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimClock {
    skew_ms: Arc<AtomicI64>,
}

impl SimClock {
    /// Sets the wall clock wrong by this much.
    pub(crate) fn skew(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        Instant::from_start(now())
    }

    fn wall_clock_ms(&self) -> i64 {
        let since = i64::try_from(now().as_millis()).unwrap_or(i64::MAX);
        test_sim_os::EPOCH_SECONDS * 1000 + since + self.skew_ms.load(Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
