//! Puts of large shards: cells go to their room as they come, in buffers of bounded size, and the writer commits.

use std::sync::Arc;

use chunk_api::{CheckedCells, Error, ShardHeader};
use env::Task;

use super::{
    Handle, Shared,
    active::Share,
    format::{Chain, ShardRecord, cell_offset, push_cell},
    index::Claim,
    request::{Request, Reserve, Room, StreamedPut, TakenName},
};

/// Bytes gathered before they are written. A put holds two such buffers: one fills while the other is written.
const BUFFER_LENGTH: usize = 512 << 10;

/// Writes that follow each other in a room, one at a time.
struct RoomWriter {
    shared: Arc<Shared>,
    room: Arc<Room>,
    position: u64,
    buffer: Vec<u8>,
    under_way: Option<Task<Result<(), Error>>>,
}

impl RoomWriter {
    fn new(shared: Arc<Shared>, room: Arc<Room>, position: u64) -> Self {
        Self { shared, room, position, buffer: Vec::with_capacity(2 * BUFFER_LENGTH), under_way: None }
    }

    /// Writes what has been gathered, once the write before it is done.
    async fn flush(&mut self) -> Result<(), Error> {
        self.finish().await?;
        let bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(2 * BUFFER_LENGTH));
        let (shared, room, position) = (self.shared.clone(), self.room.clone(), self.position);
        self.position += bytes.len() as u64;
        // The task holds the room, so the disk is not let go before the last write has ended, awaited or not. Nor is a
        // failure overlooked when nobody waits.
        self.under_way = Some(self.shared.env.spawn_blocking(move || {
            room.file.write_all_at(&bytes, position).map_err(|error| shared.fail(&error))
        }));
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        let Some(task) = self.under_way.take() else { return Ok(()) };
        let given_up = || Err(Error::Unavailable { reason: "the write was given up".to_owned() });
        task.await.unwrap_or_else(given_up)
    }
}

impl Handle {
    /// Writes a large shard's record but for its footer, and asks the writer to commit it.
    pub(super) async fn put_stream(
        &self,
        header: ShardHeader,
        cells: CheckedCells,
        claim: Claim,
        name: TakenName,
    ) -> Result<(), Error> {
        let (room, chain) = self.until_closed(self.write_stream(&header, claim.share(), cells)).await?;
        let record = ShardRecord::from(&header);
        self.ask(|reply| Request::Commit(StreamedPut { record, claim, room, chain, name, reply })).await
    }

    async fn write_stream(
        &self,
        header: &ShardHeader,
        share: Share,
        mut cells: CheckedCells,
    ) -> Result<(Arc<Room>, Chain), Error> {
        let (room, mut chain) = self.reserve(header, share).await?;
        let position = room.position + cell_offset(ShardRecord::from(header).owner_length, 0);
        let mut writer = RoomWriter::new(self.shared.clone(), room.clone(), position);
        while let Some(cell) = cells.next().await? {
            push_cell(&mut writer.buffer, &cell);
            chain.push(cell.checksum);
            if writer.buffer.len() >= BUFFER_LENGTH {
                writer.flush().await?;
            }
        }
        writer.flush().await?;
        writer.finish().await?;
        Ok((room, chain))
    }

    async fn reserve(&self, header: &ShardHeader, share: Share) -> Result<(Arc<Room>, Chain), Error> {
        let (record, owner) = (ShardRecord::from(header), header.owner.clone());
        let permit = self.streams.clone().acquire_owned().await.map_err(|_| super::closed())?;
        self.ask(|reply| Request::Reserve(Reserve { record, owner, share, permit, reply })).await
    }
}
