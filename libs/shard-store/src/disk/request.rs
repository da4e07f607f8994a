//! What the store asks of its writer, and the guards that give back what an abandoned put had taken.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use chunk_api::{Cell, Error, Purpose, ShardHeader};
use env::File;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use types::ShardId;

use super::{
    Shared,
    active::{Active, Share},
    format::{Chain, Marks, Salt, ShardRecord, encode_void},
    index::{Claim, Place},
    segment::SegmentName,
};

/// One piece of work for the writer. It answers every request, unless it panics.
pub(super) enum Request {
    Put(SmallPut),
    /// Puts that go into one group.
    PutAll(Vec<SmallPut>),
    Reserve(Reserve),
    Commit(StreamedPut),
    Mark {
        marks: Marks,
        reply: Reply<()>,
    },
    /// Marks that a full segment holds, to be written again.
    CopyMarks {
        marks: Vec<Marks>,
        reply: Reply<()>,
    },
    /// Ends the segment of marks that is open if it is one of these. Whatever was asked for before is done by the answer.
    EndMarks {
        segments: Vec<u32>,
        reply: Reply<()>,
    },
    /// All marks of this full segment were written again.
    RemoveMarks {
        segment: SegmentName,
        reply: Reply<()>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// A shard whose cells are all there.
pub(super) struct SmallPut {
    pub(super) header: ShardHeader,
    pub(super) claim: Claim,
    pub(super) cells: Vec<Cell>,
    pub(super) name: TakenName,
    /// The cells' share of the memory that waiting puts may take.
    pub(super) _memory: OwnedSemaphorePermit,
    pub(super) reply: Reply<()>,
}

/// A shard whose cells have been written to its room.
pub(super) struct StreamedPut {
    pub(super) record: ShardRecord,
    pub(super) claim: Claim,
    pub(super) room: Arc<Room>,
    pub(super) chain: Chain,
    pub(super) name: TakenName,
    pub(super) reply: Reply<()>,
}

/// Asks for room for a large shard, whose header and owner are written there at once.
pub(super) struct Reserve {
    pub(super) record: ShardRecord,
    pub(super) owner: Bytes,
    pub(super) share: Share,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) reply: Reply<(Arc<Room>, Chain)>,
}

/// A name that a put has taken, given back when the put ends in any way.
pub(super) struct TakenName {
    shared: Arc<Shared>,
    shard: ShardId,
}

impl TakenName {
    /// Takes the name; with it the place of the record that has it, when the put is to repair that.
    pub(super) fn take(
        shared: &Arc<Shared>,
        record: &ShardRecord,
        purpose: Purpose,
    ) -> Result<(Self, Option<Place>), Error> {
        let found = shared.index().begin(record, purpose)?;
        Ok((Self { shared: shared.clone(), shard: record.shard }, found))
    }

    /// Takes the name of a record that is to be moved, if it is there and nobody else works on it.
    pub(super) fn take_to_move(shared: &Arc<Shared>, place: Place) -> Option<Self> {
        let shard = place.record.shard;
        let taken = shared.index().begin_move(place);
        taken.then(|| Self { shared: shared.clone(), shard })
    }
}

impl Drop for TakenName {
    fn drop(&mut self) {
        self.shared.index().end(self.shard);
    }
}

/// Room for one record in a segment, for a streamed put alone. The segment is not removed while it lasts, and the
/// disk is not let go.
pub(super) struct Room {
    shared: Arc<Shared>,
    /// The segment as it was when the room was made.
    pub(super) active: Active,
    pub(super) position: u64,
    length: u64,
    /// Whether the record was committed.
    committed: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

/// Room that was given up: the writer voids it.
#[derive(Clone)]
pub(super) struct Abandoned {
    file: Arc<dyn File>,
    salt: Salt,
    position: u64,
    length: u64,
}

impl Abandoned {
    /// Whether it is in the segment of this salt.
    pub(super) fn is_in(&self, salt: Salt) -> bool {
        self.salt == salt
    }

    /// Says in the segment that nothing is here. Not synced: until it is stable a start keeps the record as suspect.
    pub(super) fn void(&self) -> io::Result<()> {
        self.file.write_all_at(&encode_void(self.salt, self.position, self.length), self.position)
    }
}

impl Room {
    /// Room of `length` bytes at `position` of a segment.
    pub(super) fn new(
        shared: Arc<Shared>,
        active: Active,
        position: u64,
        length: u64,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        shared.index().enter(active.number);
        let committed = AtomicBool::new(false);
        Self { shared, active, position, length, committed, _permit: permit }
    }

    /// The record in it has its footer.
    pub(super) fn commit(&self) {
        self.committed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !*self.committed.get_mut() {
            let Self { active: Active { file, salt, .. }, position, length, .. } = self;
            let abandoned =
                Abandoned { file: file.clone(), salt: *salt, position: *position, length: *length };
            self.shared.abandoned().push(abandoned);
        }
        self.shared.index().leave(self.active.number);
    }
}
