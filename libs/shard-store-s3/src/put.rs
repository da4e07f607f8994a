//! Puts a shard: gathered whole, then uploaded by a task that goes on to its end though the caller gives up.

use std::sync::Arc;

use bytes::Bytes;
use chunk_api::{CheckedCells, Error, Purpose, ShardBody, ShardHeader};
use s3_client::PutCondition;
use tokio::sync::OwnedSemaphorePermit;
use tracing::warn;
use types::ShardId;

use crate::{
    body,
    index::Place,
    name::ObjectName,
    shared::{BUFFER_UNIT, Shared},
};

/// Most objects whose put had no known outcome: beyond it nothing is put until they are void.
const DOUBTFUL_MAX: usize = 10_000;

/// A name and its room, given back when the put does not come to its end.
struct Reservation {
    shared: Arc<Shared>,
    shard: ShardId,
    bytes: u64,
    kept: bool,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut index = self.shared.index();
        index.pending.remove(&self.shard);
        if !self.kept {
            index.used_bytes -= self.bytes;
        }
    }
}

/// What is uploaded.
struct Upload {
    reservation: Reservation,
    header: ShardHeader,
    purpose: Purpose,
    /// The damaged shard that is replaced.
    replaced: Option<Place>,
    name: ObjectName,
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Shared {
    pub(crate) async fn put(
        self: &Arc<Self>,
        header: ShardHeader,
        cells: ShardBody,
        purpose: Purpose,
    ) -> Result<(), Error> {
        header.validate()?;
        let reservation = self.reserve(&header, purpose)?;
        let replaced = self.damaged(&header, purpose).await?;
        let room = self.room(reservation.bytes).await?;
        let mut header = header;
        let cells = CheckedCells::new(header.clone(), cells);
        let bytes = body::gather(&header, reservation.bytes, cells).await?;
        if let Some(place) = &replaced {
            header.epoch = header.epoch.max(place.name.epoch);
        }
        let name = ObjectName::new(&header, self.next_turn());
        self.begin(&header, purpose, replaced.as_ref())?;
        let upload = Upload { reservation, header, purpose, replaced, name, bytes, _room: room };
        self.env.spawn(upload.run()).await.unwrap_or(Err(Error::TimedOut))
    }

    fn reserve(self: &Arc<Self>, header: &ShardHeader, purpose: Purpose) -> Result<Reservation, Error> {
        let shard = header.shard;
        // The turn does not change an object's size.
        let bytes = ObjectName::new(header, crate::name::Turn { generation: 0, counter: 0 }).size();
        let mut index = self.open_index()?;
        let there = index.shards.get(&shard).copied().filter(|_| purpose == Purpose::Repair);
        index.admit(header, purpose, there.as_ref())?;
        if index.pending.contains(&shard) {
            return Err(match purpose {
                Purpose::Write => Error::ShardExists { shard },
                Purpose::Repair => Error::Unavailable { reason: "the shard is being put".to_owned() },
            });
        }
        if index.doubtful.len() >= DOUBTFUL_MAX {
            return Err(Error::Unavailable { reason: "too many puts without a known outcome".to_owned() });
        }
        if self.capacity_bytes.saturating_sub(index.used_bytes + index.dead_bytes) < bytes {
            return Err(Error::DiskFull { disk: self.disk });
        }
        index.used_bytes += bytes;
        index.pending.insert(shard);
        Ok(Reservation { shared: self.clone(), shard, bytes, kept: false })
    }

    /// The shard that a repair is to replace, if it is there and damaged; `ShardExists` if it is whole.
    async fn damaged(&self, header: &ShardHeader, purpose: Purpose) -> Result<Option<Place>, Error> {
        let shard = header.shard;
        let place = match purpose {
            Purpose::Write => None,
            Purpose::Repair => self.open_index()?.shards.get(&shard).copied(),
        };
        let Some(place) = place else { return Ok(None) };
        match self.verify(shard).await {
            Ok(()) => Err(Error::ShardExists { shard }),
            Err(Error::ShardCorrupt { .. }) => Ok(Some(place)),
            Err(Error::ShardNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Room in memory for a shard.
    async fn room(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Error> {
        let units = u32::try_from(bytes.div_ceil(BUFFER_UNIT as u64)).unwrap_or(u32::MAX);
        let room = self.buffers.clone().acquire_many_owned(units);
        let busy =
            || Error::Unavailable { reason: "too many shards are on their way to the bucket".to_owned() };
        let room = self.env.timeout(self.timings.fence, room).await.map_err(|_| busy())?;
        room.map_err(|_| busy())
    }

    /// Begins an upload, unless the shard was ended or its lease fenced while it came.
    fn begin(&self, header: &ShardHeader, purpose: Purpose, replaced: Option<&Place>) -> Result<(), Error> {
        let mut index = self.open_index()?;
        index.admit(header, purpose, replaced)?;
        index.uploads += 1;
        if purpose == Purpose::Write {
            *index.uploading.entry(header.shard.chunk.lease).or_default() += 1;
        }
        Ok(())
    }
}

impl Upload {
    async fn run(mut self) -> Result<(), Error> {
        let shared = self.reservation.shared.clone();
        let key = shared.shard_key(&self.name);
        let bytes = std::mem::take(&mut self.bytes);
        // Whatever is sent once the claim has lapsed may land when its next holder thinks that nothing can any more.
        let put = shared.bucket.put_while(&key, bytes, PutCondition::Absent, || shared.is_held()).await;
        let result = match put {
            // Unless the claim held all the while, another process may have listed the bucket without it.
            Ok(_) if shared.is_held() => self.publish(),
            Err(failure) if failure.promises_nothing_happened() => {
                self.end(&mut shared.index());
                Err(Error::Unavailable { reason: format!("the remote bucket refused the shard: {failure}") })
            }
            put => {
                if let Err(failure) = put {
                    warn!(shard = %self.header.shard, disk = %shared.disk, %failure, "whether a shard was put is not known");
                }
                let mut index = shared.index();
                index.doubtful.push(self.name);
                self.end(&mut index);
                Err(Error::TimedOut)
            }
        };
        shared.upload_ended.notify_waiters();
        shared.sweep.notify_one();
        result
    }

    /// Takes the shard into the index, unless a mark has ended it meanwhile. A fence has not: it waits for uploads.
    fn publish(&mut self) -> Result<(), Error> {
        let shared = self.reservation.shared.clone();
        let now = shared.env.now();
        let mut index = shared.index();
        self.end(&mut index);
        if let Err(refused) = index.admit(&self.header, Purpose::Repair, self.replaced.as_ref()) {
            index.bury(self.name, now, self.reservation.bytes);
            return Err(refused);
        }
        // The object that is replaced is dead once a newer one of its name is there.
        index.remove(self.header.shard, now);
        index.insert(Place { name: self.name, damaged: false });
        self.reservation.kept = true;
        Ok(())
    }

    fn end(&self, index: &mut crate::index::Index) {
        index.uploads -= 1;
        if self.purpose == Purpose::Write
            && let Some(count) = index.uploading.get_mut(&self.header.shard.chunk.lease)
        {
            *count -= 1;
            if *count == 0 {
                index.uploading.remove(&self.header.shard.chunk.lease);
            }
        }
    }
}
