//! Puts of large shards: cells go to their room as they come, in buffers of bounded size, and the writer commits.

use std::{io, sync::Arc};

use chunk_api::{Cell, CheckedCells, Error, ShardHeader};
use env::{File, Task};

use super::{
    Handle, Shared,
    active::Share,
    format::{CRC_LENGTH, Chain, ShardRecord, cell_offset, cell_span},
    index::Claim,
    request::{Request, Reserve, Room, StreamedPut, TakenName},
};

/// Bytes gathered before they are written. A put holds twice as many: some are gathered while others are written.
const BUFFER_LENGTH: usize = 512 << 10;

/// Writes that follow each other in a room, one at a time.
struct RoomWriter {
    shared: Arc<Shared>,
    room: Arc<Room>,
    position: u64,
    /// What has been gathered, as it came: it is written from where it lies.
    cells: Vec<Cell>,
    gathered: usize,
    under_way: Option<Task<Result<(), Error>>>,
}

impl RoomWriter {
    fn new(shared: Arc<Shared>, room: Arc<Room>, position: u64) -> Self {
        Self { shared, room, position, cells: Vec::new(), gathered: 0, under_way: None }
    }

    /// Writes what has been gathered, once the write before it is done.
    async fn flush(&mut self) -> Result<(), Error> {
        self.finish().await?;
        let cells = std::mem::take(&mut self.cells);
        let (shared, room, position) = (self.shared.clone(), self.room.clone(), self.position);
        self.position += std::mem::take(&mut self.gathered) as u64;
        // The task holds the room, so the disk is not let go before the last write has ended, awaited or not. Nor is a
        // failure overlooked when nobody waits.
        self.under_way = Some(self.shared.env.spawn_blocking(move || {
            write_cells(room.file.as_ref(), &cells, position).map_err(|error| shared.fail(&error))
        }));
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        let Some(task) = self.under_way.take() else { return Ok(()) };
        let given_up = || Err(Error::Unavailable { reason: "the write was given up".to_owned() });
        task.await.unwrap_or_else(given_up)
    }
}

/// Writes cells as they are kept, each with its checksum behind it.
fn write_cells(file: &dyn File, cells: &[Cell], position: u64) -> io::Result<()> {
    let checksums: Vec<[u8; CRC_LENGTH]> = cells.iter().map(|cell| cell.checksum().to_le_bytes()).collect();
    let slices: Vec<&[u8]> =
        cells.iter().zip(&checksums).flat_map(|(cell, checksum)| [&cell.data()[..], checksum]).collect();
    file.write_all_vectored_at(&slices, position)
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
            chain.push(cell.checksum());
            writer.gathered += cell_span(cell.data().len());
            writer.cells.push(cell);
            if writer.gathered >= BUFFER_LENGTH {
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
