//! Tells a hung peer from a slow producer.

use std::{
    future::Future,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use env::{Elapsed, Env, Instant};

use crate::{
    Error,
    outgoing::{BodyWatch, ErrorSlot},
};

/// How a request's body gets on. Time counts against the peer only while it has something to take or to answer.
pub(super) struct Progress {
    env: Env,
    /// Since when the peer owes us something; `None` while the producer does.
    owed_since: Mutex<Option<Instant>>,
    /// Whether the whole body was handed over.
    ended: AtomicBool,
    /// What the body's cells ended with.
    pub(super) error: ErrorSlot,
}

impl Progress {
    pub(super) fn new(env: Env) -> Self {
        Self { env, owed_since: Mutex::default(), ended: AtomicBool::new(false), error: ErrorSlot::default() }
    }

    /// From now on the peer owes us something.
    pub(super) fn begin(&self) {
        self.set(Some(self.env.now()));
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits for `call`, but no longer than the peer may owe.
    pub(super) async fn watch<F: Future>(&self, limit: Duration, call: F) -> Result<F::Output, Elapsed> {
        tokio::pin!(call);
        loop {
            match self.env.timeout(limit / 4, &mut call).await {
                Ok(output) => return Ok(output),
                Err(Elapsed) if self.is_stalled(limit) => return Err(Elapsed),
                Err(Elapsed) => {}
            }
        }
    }

    fn is_stalled(&self, limit: Duration) -> bool {
        let owed = *self.owed_since.lock().unwrap_or_else(PoisonError::into_inner);
        owed.is_some_and(|since| self.env.now().since(since) >= limit)
    }

    fn set(&self, owed_since: Option<Instant>) {
        *self.owed_since.lock().unwrap_or_else(PoisonError::into_inner) = owed_since;
    }
}

impl BodyWatch for Progress {
    fn taken(&self) {
        self.set(Some(self.env.now()));
    }

    fn starved(&self) {
        self.set(None);
    }

    fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.set(Some(self.env.now()));
    }

    fn failed(&self, error: Error) {
        self.error.put(error);
        self.set(Some(self.env.now()));
    }
}
