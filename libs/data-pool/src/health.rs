//! Remembers for a short while what failed, so that not every call waits for the same timeout.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chunk_api::Error;
use env::{Env, Instant};
use tracing::warn;
use types::{DiskId, NodeId};

use crate::{
    limits::{AVOID_MAX, AVOID_MIN},
    snapshot::Place,
};

/// What a use of a disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Write,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Node(NodeId),
    Disk(DiskId),
    /// A disk that is full: it is only written to in vain.
    WritesTo(DiskId),
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    until: Instant,
    wait: Duration,
    /// Whether someone is finding out if the subject is well again.
    tried: bool,
}

/// Marks on disks and nodes. There are never more than the cluster has of them.
#[derive(Debug)]
pub(crate) struct Health {
    env: Env,
    marks: Mutex<HashMap<Subject, Mark>>,
    /// Whether there is any mark, so that the healthy path takes no lock.
    any: AtomicBool,
}

impl Health {
    pub(crate) fn new(env: Env) -> Self {
        Self { env, marks: Mutex::default(), any: AtomicBool::new(false) }
    }

    /// Whether the place is better avoided now.
    pub(crate) fn avoids(&self, place: &Place, what_for: Use) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let now = self.env.now();
        let marks = self.marks();
        subjects(place, what_for).any(|subject| marks.get(&subject).is_some_and(|mark| now < mark.until))
    }

    /// Says that the place is about to be used. When its mark has run out this is the one attempt that finds out
    /// whether it is well again; others go on avoiding it meanwhile.
    pub(crate) fn attempt(&self, place: &Place, what_for: Use) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let now = self.env.now();
        let mut marks = self.marks();
        for subject in subjects(place, what_for) {
            if let Some(mark) = marks.get_mut(&subject) {
                mark.until = now.after(mark.wait);
                mark.tried = true;
            }
        }
    }

    /// The place answered as it should.
    pub(crate) fn succeeded(&self, place: &Place, what_for: Use) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut marks = self.marks();
        for subject in subjects(place, what_for) {
            marks.remove(&subject);
        }
        self.any.store(!marks.is_empty(), Ordering::Relaxed);
    }

    /// The place failed; errors that concern one shard alone do not count against it.
    pub(crate) fn failed(&self, place: &Place, error: &Error) {
        match error {
            Error::Unavailable { .. } | Error::Unauthenticated => self.mark(Subject::Node(place.node), error),
            Error::DiskNotFound { .. } | Error::DiskFailed { .. } | Error::TimedOut => {
                self.mark(Subject::Disk(place.disk), error);
            }
            Error::DiskFull { .. } => self.mark(Subject::WritesTo(place.disk), error),
            Error::ShardNotFound { .. }
            | Error::ShardCorrupt { .. }
            | Error::ShardExists { .. }
            | Error::ShardDeleted { .. }
            | Error::LeaseFenced { .. }
            | Error::Interrupted
            | Error::Malformed { .. } => {}
        }
    }

    fn mark(&self, subject: Subject, error: &Error) {
        let now = self.env.now();
        let mut marks = self.marks();
        let wait = match marks.get(&subject) {
            // Failures that were under way when the mark was set say nothing new.
            Some(mark) if now < mark.until && !mark.tried => mark.wait,
            Some(mark) => mark.wait.saturating_mul(2).min(AVOID_MAX),
            None => AVOID_MIN,
        };
        let before = marks.insert(subject, Mark { until: now.after(wait), wait, tried: false });
        self.any.store(true, Ordering::Relaxed);
        drop(marks);
        if before.is_none() {
            warn!(?subject, %error, "avoided for a while");
        }
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<Subject, Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subjects(place: &Place, what_for: Use) -> impl Iterator<Item = Subject> {
    let writes = (what_for == Use::Write).then_some(Subject::WritesTo(place.disk));
    [Subject::Node(place.node), Subject::Disk(place.disk)].into_iter().chain(writes)
}

#[cfg(test)]
mod tests;
