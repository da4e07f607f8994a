//! What waits of which stream, and who hashes it next.

use std::{collections::VecDeque, task::Waker};

use bytes::{Bytes, BytesMut};

use crate::{
    job::{Counts, Job, padding},
    kernel::LANES_MAX,
};

/// Bytes of one stream that may wait; a stream in another's hands that has as many waits for that to end. Bodies come in bursts of some
/// MiB each, as long as buffers of sockets are: a shorter window is filled by one burst, while nothing of others comes.
pub(crate) const WINDOW: usize = 4 << 20;

/// Bytes of all streams that may be unhashed.
pub(crate) const UNHASHED_MAX: usize = 16 << 20;

/// Bytes of one stream that wait before it has them hashed. What is below stays, so that there is something of every stream to fill lanes
/// with.
const DUE: usize = WINDOW / 4 * 3;

/// Bytes of one stream that are hashed in one go: 0.7 ms in sixteen lanes, less in fewer.
pub(crate) const SLICE: usize = 256 << 10;

/// Others are taken to come no more when so many bytes have come since, of one stream alone.
const RECENT: u64 = 8 << 20;

/// A stream is one to wait for when it has brought so many bytes since it last was: one that trickles holds nobody up.
const FED: usize = 16 << 10;

/// Pieces below this many bytes are copied together: each by itself would take more memory than its bytes.
const CRUMB: usize = 8 << 10;

/// Bytes that are copied into one buffer.
const CRUMBS_MAX: usize = 2 * CRUMB;

/// Streams of which one looks for those to hash along.
const CANDIDATES: usize = 64;

/// What waits in a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Streams that are open and long enough for others to see.
    pub streams: usize,
    /// Bytes of these that are not hashed yet.
    pub bytes: usize,
}

/// What a stream must have done before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// No more of it waits than may.
    Room,
    /// All of it is hashed.
    Digest,
}

/// What is to be done for it.
pub(crate) enum Next {
    /// Nothing.
    GoOn,
    /// To hash these, and to give them back.
    Hash(Batch),
    /// To wait until it is given back.
    Wait,
}

/// Pieces of several streams that somebody hashes.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) jobs: Vec<Job>,
    /// Of each job the slot, and bytes that were taken of it.
    from: Vec<(usize, usize)>,
}

/// All streams that are long enough for others to see.
pub(crate) struct Slots {
    lanes: usize,
    all: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Those that nobody hashes and of which something waits, in no order.
    ready: Vec<usize>,
    /// Where in `ready` is looked next.
    cursor: usize,
    open: usize,
    /// Bytes that wait.
    waiting: usize,
    /// Bytes in batches.
    taken: usize,
    /// How many batches there are.
    batches: usize,
    /// Those that wait for one of these to be given back.
    turns: Vec<usize>,
    /// Bytes that ever came.
    came: u64,
    /// Of which two streams bytes came last, the last one first, and when by `came`.
    recent: [Option<(usize, u64)>; 2],
    counts: Counts,
}

/// A stream that others may hash.
struct Slot {
    /// `None` while it is in a batch.
    job: Option<Job>,
    pieces: VecDeque<Bytes>,
    /// What came behind these, in pieces too small to be kept each by itself.
    crumbs: BytesMut,
    /// Bytes in both.
    waiting: usize,
    /// Bytes that came since it was noted in `Slots::recent`.
    brought: usize,
    /// Where it stands in `Slots::ready`.
    ready: Option<usize>,
    /// Whether its end is there.
    ends: bool,
    /// Whether nobody wants its digest any more.
    given_up: bool,
    /// Who waits until it is given back, or for its turn.
    waker: Option<Waker>,
    /// Whether it stands in `Slots::turns`.
    awaits_turn: bool,
}

impl Slots {
    pub(crate) fn new(lanes: usize) -> Self {
        Self {
            lanes: lanes.clamp(1, LANES_MAX),
            all: Vec::new(),
            free: Vec::new(),
            ready: Vec::new(),
            cursor: 0,
            open: 0,
            waiting: 0,
            taken: 0,
            batches: 0,
            turns: Vec::new(),
            came: 0,
            recent: [None; 2],
            counts: Counts::default(),
        }
    }

    pub(crate) fn load(&self) -> Load {
        Load { streams: self.open, bytes: self.waiting + self.taken }
    }

    /// Bytes that ever came.
    pub(crate) fn came(&self) -> u64 {
        self.came
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of one stream that wait.
    pub(crate) fn waiting(&self, place: usize) -> usize {
        self.slot(place).waiting
    }

    pub(crate) fn open(&mut self, job: Job) -> usize {
        self.open += 1;
        let slot = Slot {
            job: Some(job),
            pieces: VecDeque::new(),
            crumbs: BytesMut::new(),
            waiting: 0,
            // It has brought as many before others saw it.
            brought: FED,
            ready: None,
            ends: false,
            given_up: false,
            waker: None,
            awaits_turn: false,
        };
        if let Some(place) = self.free.pop() {
            self.all[place] = Some(slot);
            return place;
        }
        self.all.push(Some(slot));
        self.all.len() - 1
    }

    /// Takes in a piece of a stream.
    pub(crate) fn push(&mut self, place: usize, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.came += piece.len() as u64;
        self.waiting += piece.len();
        let slot = self.slot_mut(place);
        slot.brought += piece.len();
        let is_fed = slot.brought >= FED;
        slot.push(piece);
        if is_fed {
            self.slot_mut(place).brought = 0;
            let before = self.recent[0].filter(|(last, _)| *last != place).or(self.recent[1]);
            self.recent = [Some((place, self.came)), before];
        }
        self.note_ready(place);
    }

    /// A stream of `length` bytes ends: its padding comes, and nothing else.
    pub(crate) fn end(&mut self, place: usize, length: u64) {
        let padding = padding(length);
        self.waiting += padding.len();
        let slot = self.slot_mut(place);
        slot.push(padding);
        slot.ends = true;
        self.note_ready(place);
    }

    /// The digest of a stream that has ended, once all of it is hashed.
    pub(crate) fn digest(&self, place: usize) -> Option<[u8; 16]> {
        let slot = self.slot(place);
        let job = slot.job.as_ref().filter(|_| slot.ends && slot.waiting == 0)?;
        job.digest()
    }

    /// What is to be done for a stream. What it takes of streams does not wait any more.
    pub(crate) fn next(&mut self, place: usize, need: Need) -> Next {
        match self.is_due(place, need) {
            Some(true) => Next::Hash(self.take(place)),
            Some(false) => Next::Wait,
            None => Next::GoOn,
        }
    }

    /// Whether something is to be done for a stream, and if it is, whether it can be done now.
    pub(crate) fn is_due(&self, place: usize, need: Need) -> Option<bool> {
        let slot = self.slot(place);
        let at_rest = slot.job.is_some();
        let may_hash = at_rest && !self.has_to_wait(place);
        let due = match need {
            Need::Digest => slot.waiting > 0 || !at_rest,
            Need::Room if slot.waiting == 0 => false,
            Need::Room => {
                let full = if may_hash { DUE } else { WINDOW };
                slot.waiting >= full
                    || self.waiting + self.taken > UNHASHED_MAX
                    || may_hash && self.is_alone(place)
            }
        };
        due.then_some(may_hash)
    }

    /// Whether others are being hashed and lanes would stay empty beside: it costs less to be hashed with those that wait by then, and a
    /// batch is short.
    fn has_to_wait(&self, place: usize) -> bool {
        self.batches > 0 && !self.is_full(place)
    }

    /// Whether nothing of any other stream waits, and nothing is likely to come.
    pub(crate) fn is_alone(&self, place: usize) -> bool {
        let is_old = |(other, at): &(usize, u64)| *other == place || at + RECENT <= self.came;
        self.lanes == 1
            || self.waiting == self.slot(place).waiting && self.recent.iter().flatten().all(is_old)
    }

    /// Whether as many streams as there are lanes have something to be hashed, with this one.
    pub(crate) fn is_full(&self, place: usize) -> bool {
        let own = usize::from(self.slot(place).ready.is_some());
        self.ready.len() - own + 1 >= self.lanes
    }

    /// Takes a slice of a stream, and as much of those that have most waiting or that end, as many as there are lanes.
    fn take(&mut self, place: usize) -> Batch {
        let depth = self.slot(place).waiting.min(SLICE);
        let looked_at = self.ready.len().min(CANDIDATES);
        let mut others: Vec<(bool, usize, usize)> = Vec::with_capacity(looked_at);
        for at in 0..looked_at {
            let other = self.ready[(self.cursor + at) % self.ready.len()];
            if other != place {
                let slot = self.slot(other);
                others.push((slot.ends, slot.waiting.min(depth), other));
            }
        }
        self.cursor = (self.cursor + looked_at) % self.ready.len().max(1);
        let along = self.lanes - 1;
        if others.len() > along {
            others.select_nth_unstable_by(along, |one, other| other.cmp(one));
            others.truncate(along);
        }
        let mut batch = Batch::default();
        self.batches += 1;
        self.take_one(place, depth, &mut batch);
        for (_, _, other) in others {
            self.take_one(other, depth, &mut batch);
        }
        batch
    }

    fn take_one(&mut self, place: usize, depth: usize, batch: &mut Batch) {
        let slot = self.slot_mut(place);
        let Some(mut job) = slot.job.take() else { return };
        let taken = slot.waiting.min(depth);
        slot.take(taken, &mut job);
        self.waiting -= taken;
        self.taken += taken;
        self.note_ready(place);
        batch.from.push((place, taken));
        batch.jobs.push(job);
    }

    /// Streams of a batch are at rest again. Answers whom to wake and what to drop, which is not to be done under a lock.
    pub(crate) fn give_back(&mut self, batch: &mut Batch, counts: Counts) -> GivenBack {
        let mut given_back = GivenBack::default();
        for ((place, taken), mut job) in batch.from.drain(..).zip(batch.jobs.drain(..)) {
            self.taken -= taken;
            let slot = self.slot_mut(place);
            // There is something only if hashing was broken off.
            let mut left = 0;
            for piece in job.left().into_iter().rev() {
                left += piece.len();
                slot.pieces.push_front(piece);
            }
            slot.waiting += left;
            slot.job = Some(job);
            given_back.wakers.extend(slot.waker.take());
            let given_up = slot.given_up;
            self.waiting += left;
            if given_up {
                given_back.closed.extend(self.close(place));
            } else {
                self.note_ready(place);
            }
        }
        self.counts.add(counts);
        self.batches -= 1;
        // All of them: whoever comes first takes the others along, and one that was woken may have been dropped.
        for place in std::mem::take(&mut self.turns) {
            if let Some(slot) = &mut self.all[place] {
                slot.awaits_turn = false;
                given_back.wakers.extend(slot.waker.take());
            }
        }
        given_back
    }

    /// Has `waker` woken when a stream is given back, or another batch is that it waits for. False if there is something to do.
    pub(crate) fn wait(&mut self, place: usize, need: Need, waker: &Waker) -> bool {
        if self.is_due(place, need) != Some(false) {
            return false;
        }
        let slot = self.slot_mut(place);
        if slot.job.is_some() && !std::mem::replace(&mut slot.awaits_turn, true) {
            self.turns.push(place);
        }
        let slot = self.slot_mut(place);
        match &mut slot.waker {
            Some(known) => known.clone_from(waker),
            None => slot.waker = Some(waker.clone()),
        }
        true
    }

    /// Nobody wants a stream's digest. Answers what to drop.
    pub(crate) fn give_up(&mut self, place: usize) -> Option<Closed> {
        let slot = self.slot_mut(place);
        slot.given_up = true;
        // It is closed when it is given back, and nobody waits for that.
        let is_away = slot.job.is_none();
        if is_away { None } else { self.close(place) }
    }

    fn close(&mut self, place: usize) -> Option<Closed> {
        let slot = self.all[place].take()?;
        self.waiting -= slot.waiting;
        self.open -= 1;
        self.free.push(place);
        if let Some(at) = slot.ready {
            self.remove_ready(at);
        }
        for recent in &mut self.recent {
            *recent = recent.filter(|(other, _)| *other != place);
        }
        Some(Closed { _slot: slot })
    }

    /// Keeps `ready` true of one slot.
    fn note_ready(&mut self, place: usize) {
        let end = self.ready.len();
        let slot = self.slot_mut(place);
        let is_ready = slot.job.is_some() && slot.waiting > 0;
        match slot.ready {
            None if is_ready => {
                slot.ready = Some(end);
                self.ready.push(place);
            }
            Some(at) if !is_ready => {
                slot.ready = None;
                self.remove_ready(at);
            }
            _ => {}
        }
    }

    fn remove_ready(&mut self, at: usize) {
        self.ready.swap_remove(at);
        if let Some(moved) = self.ready.get(at).copied() {
            self.slot_mut(moved).ready = Some(at);
        }
    }

    fn slot(&self, place: usize) -> &Slot {
        self.all[place].as_ref().expect("it is open until its stream is dropped")
    }

    fn slot_mut(&mut self, place: usize) -> &mut Slot {
        self.all[place].as_mut().expect("it is open until its stream is dropped")
    }
}

/// What comes of giving a batch back.
#[derive(Default)]
pub(crate) struct GivenBack {
    pub(crate) wakers: Vec<Waker>,
    closed: Vec<Closed>,
}

/// A stream that was given up, to be dropped.
pub(crate) struct Closed {
    _slot: Slot,
}

impl Slot {
    fn push(&mut self, piece: Bytes) {
        self.waiting += piece.len();
        if piece.len() < CRUMB {
            self.crumbs.extend_from_slice(&piece);
            if self.crumbs.len() >= CRUMBS_MAX {
                self.sweep();
            }
            return;
        }
        self.sweep();
        self.pieces.push_back(piece);
    }

    /// Makes a piece of the crumbs.
    fn sweep(&mut self) {
        if !self.crumbs.is_empty() {
            self.pieces.push_back(std::mem::take(&mut self.crumbs).freeze());
        }
    }

    /// Moves the first `length` bytes that wait into the job.
    fn take(&mut self, length: usize, job: &mut Job) {
        self.sweep();
        self.waiting -= length;
        let mut left = length;
        while left > 0
            && let Some(front) = self.pieces.front_mut()
        {
            let piece = if front.len() > left { front.split_to(left) } else { std::mem::take(front) };
            left -= piece.len();
            if front.is_empty() {
                self.pieces.pop_front();
            }
            job.push(piece);
        }
    }
}
