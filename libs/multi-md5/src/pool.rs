//! Where streams meet.
//!
//! There is no thread that hashes and no timer. Bytes that come in are kept until their stream has most of a window of them; the task that
//! brought the last of them, or that needs its digest, then hashes a slice of what waits of all streams, side by side with its own ("flat
//! combining": D. Hendler, I. Incze, N. Shavit, M. Tzafrir, SPAA 2010). Below that mark bytes stay, so that whoever hashes finds something of
//! every stream that is fed. A stream that is alone keeps nothing.
//!
//! Who has what is in `slots.rs`, behind one lock that is held for bookkeeping alone: nothing is hashed, awaited, woken or dropped under
//! it.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use bytes::Bytes;

use crate::{
    Backend, Counts, Load,
    job::{Job, padding, run},
    slots::{Batch, Need, Next, Slots},
};

/// Bytes that a stream has before it shows itself to others: they are hashed as they come, as looking for others costs something too.
const SHORT: u64 = 16 << 10;

/// From so many bytes on it pays to give others turns before a stream's last ones are hashed, and how many.
const LONG: usize = 16 << 10;
/// See [`LONG`].
const TURNS: usize = 4;

/// Streams that are hashed together. Cheap to clone; all clones are one pool.
///
/// Of each stream at most 4 MiB wait and 256 KiB are being hashed, and of all together at most 16 MiB are not hashed, both but for one piece
/// of each stream whose [`Stream::settle`] has not ended. A piece may be part of a longer buffer and keep that in memory; pieces below 8 KiB
/// are copied. Whoever hashes does so for about a millisecond at most, up to 256 KiB of each of as many streams as there are lanes, and gives
/// other tasks a turn before it does so again.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    slots: Mutex<Slots>,
}

impl Pool {
    /// A pool that hashes by `backend`, as many streams at once as it has lanes.
    pub fn new(backend: Backend) -> Self {
        Self::with_lanes(backend, backend.lanes())
    }

    /// A pool that takes up to `lanes` streams at once (1 to 16), whatever the backend has: which task hashes and waits when does not depend
    /// on the processor then.
    pub fn with_lanes(backend: Backend, lanes: usize) -> Self {
        Self { shared: Arc::new(Shared { backend, slots: Mutex::new(Slots::new(lanes)) }) }
    }

    /// By which it hashes.
    pub fn backend(&self) -> Backend {
        self.shared.backend
    }

    /// A stream of which nothing has come.
    pub fn stream(&self) -> Stream {
        Stream { pool: self.clone(), place: Place::Own(Job::new()), length: 0, ended: false }
    }

    /// What waits in it now.
    pub fn load(&self) -> Load {
        self.shared.slots().load()
    }

    /// How well lanes were filled since it was made, streams of less than 16 KiB left out.
    pub fn counts(&self) -> Counts {
        self.shared.slots().counts()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("backend", &self.backend()).field("load", &self.load()).finish()
    }
}

/// A message that comes piece by piece. Dropping it gives it up at any time; dropping one of its futures loses nothing.
pub struct Stream {
    pool: Pool,
    place: Place,
    length: u64,
    ended: bool,
}

enum Place {
    /// Nobody else sees it.
    Own(Job),
    /// In this slot.
    Slot(usize),
}

impl Stream {
    /// Takes in more bytes, which may be hashed later and by another task. [`Stream::settle`] is to be awaited before the next.
    pub fn push(&mut self, bytes: Bytes) {
        debug_assert!(!self.ended, "nothing comes after the end");
        self.length = self.length.wrapping_add(bytes.len() as u64);
        match &mut self.place {
            Place::Own(job) if self.length < SHORT => {
                job.push(bytes);
                run(self.pool.shared.backend, std::slice::from_mut(job));
            }
            Place::Own(job) => {
                let job = std::mem::replace(job, Job::new());
                let mut slots = self.pool.shared.slots();
                let place = slots.open(job);
                slots.push(place, bytes);
                self.place = Place::Slot(place);
            }
            Place::Slot(place) => self.pool.shared.slots().push(*place, bytes),
        }
    }

    /// Hashes if more waits than may. Waits only while another task hashes earlier bytes of this stream and either a window of it has come
    /// meanwhile or the pool is full.
    pub async fn settle(&mut self) {
        if let Place::Slot(place) = self.place {
            self.pool.shared.bring(place, Need::Room).await;
        }
    }

    /// The digest of all bytes taken in; no more come. Gives other tasks a few turns before it hashes much, as long as they feed other
    /// streams, so that those can be hashed along. May be called again.
    pub async fn digest(&mut self) -> [u8; 16] {
        let ended = std::mem::replace(&mut self.ended, true);
        let place = match &mut self.place {
            Place::Own(job) => {
                if !ended {
                    job.push(padding(self.length));
                    run(self.pool.shared.backend, std::slice::from_mut(job));
                }
                return job.digest().expect("padding ends with a block");
            }
            Place::Slot(place) => *place,
        };
        if !ended {
            self.pool.shared.slots().end(place, self.length);
        }
        self.pool.shared.let_others_come(place).await;
        loop {
            self.pool.shared.bring(place, Need::Digest).await;
            if let Some(digest) = self.pool.shared.slots().digest(place) {
                return digest;
            }
        }
    }

    /// Bytes that wait to be hashed, without those that are being hashed.
    pub fn waiting(&self) -> usize {
        match self.place {
            Place::Own(_) => 0,
            Place::Slot(place) => self.pool.shared.slots().waiting(place),
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Place::Slot(place) = self.place {
            let closed = self.pool.shared.slots().give_up(place);
            drop(closed);
        }
    }
}

impl Shared {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes and waits until a stream has what it needs.
    async fn bring(&self, place: usize, need: Need) {
        loop {
            let next = self.slots().next(place, need);
            match next {
                Next::GoOn => return,
                Next::Wait => self.turn(place, need).await,
                Next::Hash(batch) => {
                    self.hash(batch);
                    if self.slots().is_due(place, need).is_none() {
                        return;
                    }
                    give_a_turn().await;
                }
            }
        }
    }

    /// Gives others turns while a stream has much to hash, bytes of others come, which are then hashed along, and lanes are left for them.
    async fn let_others_come(&self, place: usize) {
        let mut came = None;
        for _ in 0..TURNS {
            let (is_worth_it, now) = {
                let slots = self.slots();
                let is_worth_it =
                    slots.waiting(place) >= LONG && !slots.is_alone(place) && !slots.is_full(place);
                (is_worth_it, slots.came())
            };
            if !is_worth_it || came.replace(now) == Some(now) {
                return;
            }
            give_a_turn().await;
        }
    }

    /// Hashes a batch and gives it back.
    pub(crate) fn hash(&self, batch: Batch) {
        let mut taken = Taken { shared: self, batch, counts: Counts::default() };
        taken.counts = run(self.backend, &mut taken.batch.jobs);
    }

    /// Waits until nobody hashes a stream, and until those that are hashed meanwhile leave it its turn.
    async fn turn(&self, place: usize, need: Need) {
        poll_fn(|context| {
            if self.slots().wait(place, need, context.waker()) { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// Streams that are being hashed. They are given back when it is dropped.
struct Taken<'a> {
    shared: &'a Shared,
    batch: Batch,
    counts: Counts,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let given_back = self.shared.slots().give_back(&mut self.batch, self.counts);
        given_back.wakers.into_iter().for_each(Waker::wake);
    }
}

/// Lets other tasks run once.
async fn give_a_turn() {
    let mut given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
