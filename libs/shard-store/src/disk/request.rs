//! What the store asks of its writer, and the guards that give back what an abandoned put had taken.

use std::sync::Arc;

use chunk_api::{Cell, Error, ShardHeader};
use env::File;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use types::ShardId;

use super::{
    Shared,
    format::{Chain, Salt},
};

/// One piece of work for the writer. It answers every request, unless it panics.
pub(super) enum Request {
    Put(SmallPut),
    Reserve { length: u64, permit: OwnedSemaphorePermit, reply: Reply<Arc<Room>> },
    Commit(StreamedPut),
    Delete { shards: Vec<ShardId>, reply: Reply<()> },
    Close { reply: oneshot::Sender<()> },
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// A shard whose cells are all there.
pub(super) struct SmallPut {
    pub(super) header: ShardHeader,
    pub(super) cells: Vec<Cell>,
    pub(super) name: TakenName,
    /// The cells' share of the memory that waiting puts may take.
    pub(super) _memory: OwnedSemaphorePermit,
    pub(super) reply: Reply<()>,
}

/// A shard whose cells have been written to its room.
pub(super) struct StreamedPut {
    pub(super) header: ShardHeader,
    pub(super) room: Arc<Room>,
    pub(super) chain: Chain,
    pub(super) name: TakenName,
    pub(super) reply: Reply<()>,
}

/// A name that a put has taken, given back when the put ends in any way.
pub(super) struct TakenName {
    shared: Arc<Shared>,
    pub(super) shard: ShardId,
}

impl TakenName {
    pub(super) fn take(shared: &Arc<Shared>, shard: ShardId) -> Result<Self, Error> {
        shared.index().begin(shard)?;
        Ok(Self { shared: shared.clone(), shard })
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
    pub(super) segment: u32,
    pub(super) salt: Salt,
    pub(super) file: Arc<dyn File>,
    pub(super) position: u64,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(
        shared: Arc<Shared>,
        segment: u32,
        salt: Salt,
        file: Arc<dyn File>,
        position: u64,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        shared.index().enter(segment);
        Self { shared, segment, salt, file, position, _permit: permit }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shared.index().leave(self.segment);
    }
}
