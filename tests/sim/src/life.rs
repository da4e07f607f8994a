//! One life of a process: from its start until it ends or is killed.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use env::Spawner;
use tokio::{sync::Notify, task::AbortHandle};

use crate::rng::{Rng, SharedRng};

/// How a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It runs.
    Alive,
    /// It was killed: its machine tells its peers so, and what it had written is still in the machine's memory.
    Killed,
    /// Its machine has lost power: silence, and only what was synced is left.
    PowerLost,
}

/// A life. Whatever a dead process does has no effect.
pub(crate) struct Life {
    standing: AtomicU8,
    tasks: Mutex<Vec<AbortHandle>>,
    died: Notify,
    rng: SharedRng,
    /// How often, once in this many times, blocking work is slow.
    slow_once_in: u64,
}

impl Life {
    pub(crate) fn new(rng: Rng, slow_once_in: u64) -> Arc<Self> {
        Arc::new(Self {
            standing: AtomicU8::new(0),
            tasks: Mutex::default(),
            died: Notify::new(),
            rng: SharedRng::new(rng),
            slow_once_in,
        })
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Relaxed) {
            0 => Standing::Alive,
            1 => Standing::Killed,
            _ => Standing::PowerLost,
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.standing() == Standing::Alive
    }

    /// Ends the life: from now on nothing that the process does has an effect, and its tasks end at once.
    pub(crate) fn end(&self, standing: Standing) {
        if !self.is_alive() {
            return;
        }
        self.standing.store(if standing == Standing::PowerLost { 2 } else { 1 }, Ordering::Relaxed);
        let tasks = std::mem::take(&mut *self.tasks.lock().expect("nobody panics with it"));
        tasks.iter().for_each(AbortHandle::abort);
        self.died.notify_waiters();
    }

    /// Waits until the process is dead.
    pub(crate) async fn dead(&self) {
        let died = self.died.notified();
        if self.is_alive() {
            died.await;
        }
    }
}

impl Spawner for Life {
    fn spawned(&self, task: AbortHandle) {
        if !self.is_alive() {
            return task.abort();
        }
        let mut tasks = self.tasks.lock().expect("nobody panics with it");
        if tasks.len() == tasks.capacity() {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task);
    }

    fn work_time(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let time_ms = self.rng.with(|rng| {
            if rng.once_in(self.slow_once_in) { rng.between(20, 2000) } else { rng.between(0, 2) }
        });
        Box::pin(tokio::time::sleep(Duration::from_millis(time_ms)))
    }
}
