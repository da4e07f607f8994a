//! Remembers for a short while what failed or was late, so that not every call waits for the same timeout.

pub(crate) mod probe;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chunk_api::{DiskStatus, Error};
use env::{Env, Instant};
use tokio::sync::watch;
use tracing::{info, warn};
use types::{DiskId, NodeId};

use crate::{
    latency::Latency,
    limits::{AVOID_MAX, AVOID_MIN, BEHIND_MAX, LATE_DECAY, LATE_MAX, LATE_MEMORY},
    load::Load,
    snapshot::Place,
};

/// What a use of a disk is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Kinds of subjects, as they are shown to operators.
pub(crate) const AVOIDED: [&str; 3] = ["node", "disk", "full_disk"];

/// How well a place would serve now, by what this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Condition {
    /// It does not answer, or has failed.
    Failed,
    /// It took too long, while its service answers: it is better than nothing.
    Slow,
    /// Nothing is known against it.
    Well,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    node: NodeId,
    /// When it failed last.
    failed: Instant,
    until: Instant,
    wait: Duration,
    /// Whether someone is finding out if the subject is well again.
    tried: bool,
    /// Whether it failed by taking too long.
    timed_out: bool,
    /// What the node's service did when it was asked how it is; `None` before it was.
    service: Option<Service>,
}

/// What a chunk service does when it is asked how it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Silent,
    Answers,
}

impl Mark {
    fn condition(&self) -> Condition {
        match (self.timed_out, self.service) {
            (true, Some(Service::Answers)) => Condition::Slow,
            _ => Condition::Failed,
        }
    }
}

/// Marks on disks and nodes. There are never more than the cluster has of them.
#[derive(Debug)]
pub(crate) struct Health {
    env: Env,
    marks: Mutex<Marks>,
    /// Whether there is any mark, so that the healthy path takes no lock.
    any: AtomicBool,
    /// Told of each new mark.
    news: watch::Sender<()>,
    /// How long reads take.
    pub(crate) latency: Latency,
    /// What is in progress.
    pub(crate) load: Arc<Load>,
}

#[derive(Debug, Default)]
struct Marks {
    failed: HashMap<Subject, Mark>,
    /// How often disks were late of late, and when they were last.
    late: HashMap<DiskId, (f32, Instant)>,
    /// How often disks were far behind the others of a write of late, though they were in time, and when they were last.
    behind: HashMap<DiskId, (f32, Instant)>,
}

impl Health {
    pub(crate) fn new(env: Env) -> Self {
        Self {
            env,
            marks: Mutex::default(),
            any: AtomicBool::new(false),
            news: watch::Sender::default(),
            latency: Latency::default(),
            load: Arc::default(),
        }
    }

    /// Whether the place is better avoided now.
    pub(crate) fn avoids(&self, place: &Place, what_for: Use) -> bool {
        self.condition(place, what_for) != Condition::Well
    }

    /// How well the place would serve now.
    pub(crate) fn condition(&self, place: &Place, what_for: Use) -> Condition {
        if !self.any.load(Ordering::Relaxed) {
            return Condition::Well;
        }
        let now = self.env.now();
        let marks = self.marks();
        subjects(place, what_for)
            .filter_map(|subject| marks.failed.get(&subject))
            .filter(|mark| now < mark.until)
            .map(Mark::condition)
            .min()
            .unwrap_or(Condition::Well)
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
            if let Some(mark) = marks.failed.get_mut(&subject) {
                mark.until = now.after(mark.wait);
                mark.tried = true;
            }
        }
    }

    /// Whether the place was late lately, or was behind the others again and again. It is no reason not to use it where nothing
    /// else will do.
    pub(crate) fn is_sluggish(&self, place: &Place) -> bool {
        if !self.any.load(Ordering::Relaxed) {
            return false;
        }
        let now = self.env.now();
        let marks = self.marks();
        let is_recent = |(_, last): &&(f32, Instant)| now.since(*last) < LATE_MEMORY;
        let behind = marks.behind.get(&place.disk).filter(is_recent);
        marks.late.get(&place.disk).filter(is_recent).is_some()
            || behind.is_some_and(|(behind, _)| *behind >= BEHIND_MAX)
    }

    /// The place did its part of a write, and whether it was far behind the others with it.
    pub(crate) fn was_behind(&self, place: &Place, is_so: bool) {
        if !is_so && !self.any.load(Ordering::Relaxed) {
            return;
        }
        let now = self.env.now();
        let mut marks = self.marks();
        if is_so {
            let (behind, last) = marks.behind.entry(place.disk).or_insert((0.0, now));
            if now.since(*last) >= LATE_MEMORY {
                *behind = 0.0;
            }
            (*behind, *last) = (*behind + 1.0, now);
        } else if let Some((behind, _)) = marks.behind.get_mut(&place.disk) {
            *behind *= LATE_DECAY;
            if *behind < 0.1 {
                marks.behind.remove(&place.disk);
            }
        }
        self.note_whether_any(&marks);
    }

    /// The place answered as it should.
    pub(crate) fn succeeded(&self, place: &Place, what_for: Use) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut marks = self.marks();
        for subject in subjects(place, what_for) {
            marks.failed.remove(&subject);
        }
        if let Some((late, _)) = marks.late.get_mut(&place.disk) {
            *late *= LATE_DECAY;
            if *late < 0.1 {
                marks.late.remove(&place.disk);
            }
        }
        self.note_whether_any(&marks);
    }

    /// The place has not answered a call that others answered long ago, and is not waited for any more. A few times in
    /// a row, or once when it was being tried after a failure, count as a failure.
    pub(crate) fn late(&self, place: &Place) {
        let now = self.env.now();
        let mut marks = self.marks();
        let is_tried = marks.failed.get(&Subject::Disk(place.disk)).is_some_and(|mark| mark.tried);
        let (late, last) = marks.late.entry(place.disk).or_insert((0.0, now));
        if now.since(*last) >= LATE_MEMORY {
            *late = 0.0;
        }
        (*late, *last) = (*late + 1.0, now);
        let has_failed = is_tried || *late >= LATE_MAX;
        if has_failed {
            marks.late.remove(&place.disk);
        }
        drop(marks);
        self.any.store(true, Ordering::Relaxed);
        if has_failed {
            self.failed(place, &Error::TimedOut);
        }
    }

    /// The place failed; errors that concern one shard alone, or this process, do not count against it.
    pub(crate) fn failed(&self, place: &Place, error: &Error) {
        match error {
            Error::Unavailable { .. } | Error::Unauthenticated | Error::Forbidden { .. } => {
                self.mark(Subject::Node(place.node), place, error);
            }
            Error::DiskNotFound { .. } | Error::DiskFailed { .. } | Error::TimedOut => {
                self.mark(Subject::Disk(place.disk), place, error);
            }
            Error::DiskFull { .. } => self.mark(Subject::WritesTo(place.disk), place, error),
            Error::ShardNotFound { .. }
            | Error::ShardCorrupt { .. }
            | Error::ShardExists { .. }
            | Error::ShardDeleted { .. }
            | Error::LeaseFenced { .. }
            | Error::Interrupted
            | Error::Busy
            | Error::Malformed { .. } => {}
        }
    }

    fn mark(&self, subject: Subject, place: &Place, error: &Error) {
        let now = self.env.now();
        let mut marks = self.marks();
        let before = marks.failed.get(&subject);
        let wait = match before {
            // Failures that were under way when the mark was set say nothing new.
            Some(mark) if now < mark.until && !mark.tried => mark.wait,
            Some(mark) => mark.wait.saturating_mul(2).min(AVOID_MAX),
            None => AVOID_MIN,
        };
        let mark = Mark {
            node: place.node,
            failed: now,
            until: now.after(wait),
            wait,
            tried: false,
            timed_out: *error == Error::TimedOut,
            service: before.and_then(|mark| mark.service),
        };
        let is_new = marks.failed.insert(subject, mark).is_none();
        self.any.store(true, Ordering::Relaxed);
        drop(marks);
        if is_new {
            warn!(?subject, %error, "avoided for a while");
            self.news.send_replace(());
        }
    }

    /// Told of each new mark, until this is gone.
    fn subscribe(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// How many subjects of each kind of [`AVOIDED`] have failed and not answered since.
    pub(crate) fn avoided(&self) -> [u64; 3] {
        let mut avoided = [0; 3];
        for subject in self.marks().failed.keys() {
            let kind = match subject {
                Subject::Node(_) => 0,
                Subject::Disk(_) => 1,
                Subject::WritesTo(_) => 2,
            };
            avoided[kind] += 1;
        }
        avoided
    }

    /// The nodes that have failed or have a disk that did.
    fn failed_nodes(&self) -> BTreeSet<NodeId> {
        self.marks().failed.values().map(|mark| mark.node).collect()
    }

    /// A node's service, asked at `asked` how it is, has answered with its disks. What failed for want of an answer is
    /// well again; a disk that is late while its service answers, and one that is full, are not: they are tried from
    /// time to time.
    fn node_answered(&self, node: NodeId, asked: Instant, disks: &[DiskStatus]) {
        let takes_shards = |disk: DiskId| disks.iter().any(|status| status.disk == disk && status.writable);
        let mut marks = self.marks();
        marks.failed.retain(|subject, mark| {
            // A failure since then is not answered by it.
            if mark.node != node || mark.failed > asked {
                return true;
            }
            let was_silent = mark.service == Some(Service::Silent);
            let is_well = match subject {
                Subject::Node(_) => true,
                Subject::Disk(disk) => takes_shards(*disk) && (was_silent || !mark.timed_out),
                Subject::WritesTo(_) => false,
            };
            if is_well {
                info!(?subject, "answers again");
            }
            mark.service = Some(Service::Answers);
            !is_well
        });
        self.note_whether_any(&marks);
    }

    /// A node's service does not answer when it is asked how it is.
    fn node_silent(&self, node: NodeId) {
        for mark in self.marks().failed.values_mut().filter(|mark| mark.node == node) {
            mark.service = Some(Service::Silent);
        }
    }

    /// A node is not in the map any more.
    fn node_gone(&self, node: NodeId) {
        let mut marks = self.marks();
        marks.failed.retain(|_, mark| mark.node != node);
        self.note_whether_any(&marks);
    }

    /// To be called when marks may have gone, while they are locked.
    fn note_whether_any(&self, marks: &Marks) {
        let any = !marks.failed.is_empty() || !marks.late.is_empty() || !marks.behind.is_empty();
        self.any.store(any, Ordering::Relaxed);
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subjects(place: &Place, what_for: Use) -> impl Iterator<Item = Subject> {
    let writes = (what_for == Use::Write).then_some(Subject::WritesTo(place.disk));
    [Subject::Node(place.node), Subject::Disk(place.disk)].into_iter().chain(writes)
}

#[cfg(test)]
mod tests;
